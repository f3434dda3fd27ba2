import type { Log } from '@towline/contract';
import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino';
import { maskSecrets, redactFields } from './redaction.ts';

/** How much is logged. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What {@link createLog} takes. */
export interface LogSettings {
  readonly level: LogLevel;
  /** Where lines go; standard error when left out. */
  readonly stream?: DestinationStream;
}

/** The log of a relay. */
export interface RelayLog extends Log {
  /** The logger underneath, for fastify. Everything that goes through it is redacted as well. */
  readonly pino: Logger;
}

/** Fields that a line has by itself. A caller's field of that name gets an underscore, so that no line can be forged. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'hostname', 'msg']);
/** Objects that fastify hands over. Serializers turn them into a few plain fields, which are redacted there. */
const SERIALIZED: ReadonlySet<string> = new Set(['req', 'res']);

// Characters that JSON leaves alone and a terminal obeys: DEL, C1 controls, line separators, bidirectional overrides.
const TERMINAL_CODES = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes the log of a relay: one JSON object a line. Secrets are removed by key name at any depth and by the look
 * of texts, whoever wrote them. Lines are written at once, so that a crash does not take its last words along.
 */
export function createLog(settings: LogSettings): RelayLog {
  const logger = pino(
    {
      level: settings.level,
      formatters: { log: redactLine },
      serializers: {
        req: (request) => redactFields(stdSerializers.req(request)),
        res: (response) => redactFields(stdSerializers.res(response)),
      },
      hooks: { streamWrite: (line) => escapeTerminalCodes(maskSecrets(line)) },
    },
    settings.stream ?? destination({ fd: 2, sync: true }),
  );
  redactChildren(logger);
  return { ...wrap(logger), pino: logger };
}

/** A log that adds fields to each line, as the name of the plugin that writes it. The fields of a line win. */
export function withFields(log: Log, fields: Readonly<Record<string, unknown>>): Log {
  return {
    debug: (message, more) => log.debug(message, { ...fields, ...more }),
    info: (message, more) => log.info(message, { ...fields, ...more }),
    warn: (message, more) => log.warn(message, { ...fields, ...more }),
    error: (message, more) => log.error(message, { ...fields, ...more }),
  };
}

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}

/** Pino formats the bindings of a child without asking the formatters of its parent; children inherit this method. */
function redactChildren(logger: Logger): void {
  const original = logger.child;
  logger.child = function child(this: Logger, bindings: object, options?: object) {
    return original.call(this, redactFields({ ...bindings }), options);
  } as typeof logger.child;
}

function redactLine(fields: Record<string, unknown>): Record<string, unknown> {
  const whole = Object.entries(fields).filter(([key]) => SERIALIZED.has(key));
  const rest = Object.entries(fields).filter(([key]) => !SERIALIZED.has(key));
  const redacted = Object.entries(redactFields(Object.fromEntries(rest)));
  return Object.fromEntries([...whole, ...redacted.map(([key, value]) => [OWN_FIELDS.has(key) ? `${key}_` : key, value])]);
}

/** These characters occur only inside of JSON strings, where the escape means the same. */
function escapeTerminalCodes(line: string): string {
  return line.replace(TERMINAL_CODES, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
