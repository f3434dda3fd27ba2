import { defineConfig } from 'vitest/config';

// biome-ignore lint/style/noDefaultExport: vitest reads the default export.
export default defineConfig({
  test: {
    include: ['{core,plugins}/*/test/**/*.test.ts', '{agent,cli,config,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores are what a continuous integration machine has; real processes run beside the tests.
    maxWorkers: 2,
    // On a busy machine a test with many real processes may miss a moment. The summary names what needed its second try.
    retry: 1,
    reporters: ['default', './tools/count-reporter.ts'],
  },
});
