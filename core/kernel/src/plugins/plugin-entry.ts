import type { JsonSchema } from '@towline/config/relay';
import type { Plugin, PluginKind } from '@towline/contract';

/** A place in a config file, for faults. */
export interface ConfigPlace {
  readonly file: string;
  readonly line?: number;
}

/** A plugin that the config asks for. */
export interface PluginEntry {
  readonly kind: PluginKind;
  /** Name of the plugin. */
  readonly use: string;
  /**
   * What the entry says besides; for the plugin to judge. A function is given the JSON Schema of the options (undefined
   * when there is none), so that what came out of a variable as text can become the number that is expected.
   */
  readonly options: Readonly<Record<string, unknown>> | ((schema: JsonSchema | undefined) => Readonly<Record<string, unknown>>);
  /** Of an audit sink: true closes when it fails, false lets the relay start without it. */
  readonly required?: boolean;
  readonly at?: ConfigPlace;
  /** Place of an option in the entry, or nearest to it. Left out: that of the entry. */
  placeOf?(path: readonly (string | number)[]): ConfigPlace | undefined;
}

/** Packages that may bring plugins, and where to look for them. */
export interface PluginSources {
  /** The standard ones: names, and a folder or module (path or file: URL) from which they are installed. */
  readonly distribution: { readonly packages: readonly string[]; readonly from: string };
  /** Those under `plugins` in the config: package names or paths of folders, looked up from the folder of the config first. */
  readonly configured?: {
    readonly packages: readonly { readonly name: string; readonly at?: ConfigPlace }[];
    readonly from: string;
  };
}

/** A package that was found. */
export interface PluginPackage {
  /** As package.json says. */
  readonly name: string;
  readonly version: string;
  /** Absolute, without symbolic links. */
  readonly folder: string;
}

/** A plugin that may be started: found, checked and imported, its options valid. */
export interface ResolvedPlugin {
  readonly kind: PluginKind;
  readonly name: string;
  readonly plugin: Plugin;
  /** As the plugin's schema answered them. */
  readonly options: unknown;
  readonly required: boolean | undefined;
  readonly package: PluginPackage;
  readonly at: ConfigPlace | undefined;
}
