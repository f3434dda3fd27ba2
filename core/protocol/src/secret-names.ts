import { z } from 'zod';
import type { Scope } from './ids.ts';
import { parseScope } from './scope.ts';

/** Secrets that one session may be given. */
export const MAX_SESSION_SECRETS = 50;
/** Longest name of a secret, characters. */
export const MAX_SECRET_NAME = 128;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Names that decide how programs are found, loaded or run, or who they take themselves for. Not for secrets, whose values
 * come from somebody else than the program's user. In upper case, and compared without case: zsh ties `path` to `PATH`.
 */
export const REFUSED_SECRET_NAMES: ReadonlySet<string> = new Set(
  [
    // Who one is and where: set by the login itself.
    'HOME SHELL USER LOGNAME USERNAME UID EUID PPID GROUPS PWD OLDPWD TERM TERMCAP TERMINFO TERMINFO_DIRS HOSTNAME MAIL TMPDIR',
    // What shells read before or while they run a command.
    'PATH IFS ENV SHELLOPTS POSIXLY_CORRECT CDPATH FPATH MANPATH MAILPATH ZDOTDIR PROMPT PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 INPUTRC',
    'FIGNORE GLOBIGNORE EXECIGNORE HISTFILE HISTCONTROL FCEDIT NULLCMD READNULLCMD TMOUT EXECSHELL MODULE_PATH PSMODULEPATH STTY',
    // What shells keep for themselves: a program would see another value.
    '_ RANDOM SRANDOM SECONDS LINENO SHLVL EPOCHSECONDS EPOCHREALTIME DIRSTACK FUNCNAME HISTCMD PIPESTATUS OPTIND OPTARG OPTERR REPLY',
    'ARGC ARGV STATUS COLUMNS LINES LISTMAX HISTCHARS HISTSIZE SAVEHIST MAILCHECK KEYTIMEOUT TTYIDLE TRY_BLOCK_ERROR FUNCNEST ERRNO',
    'WATCH JOBMAX PGRP USER_ID KSHUID KSHEUID KSHGID KSHEGID KSH_VERSION',
    // What the C library drops for programs that change their user, and locales, which are files.
    'GCONV_PATH GETCONF_DIR GLIBC_TUNABLES HOSTALIASES LOCALDOMAIN LOCPATH NIS_PATH NLSPATH RES_OPTIONS RESOLV_HOST_CONF TZ TZDIR',
    'LANG LANGUAGE TEXTDOMAIN TEXTDOMAINDIR OUTPUT_CHARSET LIBPATH SHLIB_PATH',
    // What interpreters load or run by themselves.
    'NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE PYTHONSTARTUP PYTHONPATH PYTHONHOME PYTHONUSERBASE PYTHONEXECUTABLE',
    'PYTHONINSPECT PYTHONBREAKPOINT PYTHONWARNINGS PYTHONPLATLIBDIR PYTHONPYCACHEPREFIX PERLLIB PERL5LIB PERL5OPT PERL5DB PERL5SHELL',
    'RUBYOPT RUBYLIB RUBYSHELL GEM_HOME GEM_PATH BUNDLE_GEMFILE BUNDLE_PATH JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH',
    'LUA_PATH LUA_CPATH PHPRC PHP_INI_SCAN_DIR AWKPATH AWKLIBPATH DOTNET_STARTUP_HOOKS ERL_AFLAGS ERL_FLAGS ERL_ZFLAGS',
    'OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES',
    // Programs that others start.
    'EDITOR VISUAL PAGER MANPAGER BROWSER LESSOPEN LESSCLOSE SSH_ASKPASS GIT_SSH GIT_SSH_COMMAND GIT_EXEC_PATH GIT_EDITOR',
    'GIT_SEQUENCE_EDITOR GIT_PAGER GIT_ASKPASS GIT_PROXY_COMMAND GIT_EXTERNAL_DIFF GIT_TEMPLATE_DIR GIT_DIR GIT_COMMON_DIR GIT_WORK_TREE',
    // What some take as commands of their own.
    'LESS LESSKEY LESSKEYIN MORE VIMINIT EXINIT MAKEFLAGS MFLAGS GNUMAKEFLAGS',
  ].flatMap((names) => names.split(' ')),
);
/** Beginnings of such names, likewise. `TOWLINE_` is our own. */
export const REFUSED_SECRET_BEGINNINGS: readonly string[] = Object.freeze([
  ...['BASH', 'DYLD_', 'FISH_', 'GIT_CONFIG', 'LC_', 'LD_', 'LUA_INIT', 'MALLOC_', 'SUDO_', 'TOWLINE_', 'XDG_'],
]);

/** What is wrong with the name of a secret, in words; null when it may be used. */
export function secretNameFault(name: string): string | null {
  if (name.length > MAX_SECRET_NAME || !NAME.test(name)) {
    return `the name of a secret has 1 to ${MAX_SECRET_NAME} of the letters A to Z and a to z, digits and underscores, and begins with no digit`;
  }
  const upper = name.toUpperCase();
  if (!REFUSED_SECRET_NAMES.has(upper) && !REFUSED_SECRET_BEGINNINGS.some((beginning) => upper.startsWith(beginning))) return null;
  return `${name} is refused as the name of a secret: it changes how programs are found, loaded or run; choose another name`;
}

/** A secret as somebody asks for it. */
export interface SecretWord {
  /** Null: to be looked for. */
  readonly scope: Scope | null;
  readonly name: string;
}

/** Reads `NAME` or `SCOPE/NAME`; null when the scope is none. The name is not checked. */
export function parseSecretWord(text: string): SecretWord | null {
  // An e-mail address may have a slash in it, a name may not.
  const slash = text.lastIndexOf('/');
  if (slash < 0) return { scope: null, name: text };
  const scope = parseScope(text.slice(0, slash));
  return scope === null ? null : { scope, name: text.slice(slash + 1) };
}

/** What is wrong with what somebody asks for, in words; null when it may be looked for. */
export function secretWordFault(text: string): string | null {
  const word = parseSecretWord(text);
  return word === null ? 'expected NAME, or user:EMAIL/NAME or org:ID/NAME' : secretNameFault(word.name);
}

/** What is wrong with the secrets somebody asks for together, in words: each name stands once in an environment. */
export function secretWordsFault(texts: readonly string[]): string | null {
  if (texts.length > MAX_SESSION_SECRETS) return `a session is given at most ${MAX_SESSION_SECRETS} secrets`;
  const names = new Set<string>();
  for (const text of texts) {
    const fault = secretWordFault(text);
    if (fault !== null) return fault;
    const { name } = parseSecretWord(text)!;
    if (names.has(name)) return `the secret ${name} is asked for twice`;
    names.add(name);
  }
  return null;
}

/** Secrets that a client asks for in the body of an open message: `NAME` or `SCOPE/NAME` each. */
export const secretWordsSchema = z
  .array(z.string().max(MAX_SECRET_NAME + 321))
  .min(1)
  .superRefine((texts, context) => {
    const fault = secretWordsFault(texts);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  });
