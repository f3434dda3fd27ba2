import { resolve } from 'node:path';
import { definePlugin } from '@towline/contract';
import { FileSink } from './file-sink.ts';
import { optionsSchema } from './options.ts';

/** Audit sink `file`: JSON lines in a file that is set aside when it is full. */
export const plugin = definePlugin({
  kind: 'audit',
  name: 'file',
  options: optionsSchema,
  needs: ['baseDir'],
  create: (options, host) => new FileSink({ ...options, path: resolve(host.baseDir, options.path) }, host.log),
});
