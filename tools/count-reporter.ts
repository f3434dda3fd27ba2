import type { Reporter, TestModule } from 'vitest/node';

/** Names what was skipped, and what passed at its second try only, and closes the run with one plain line: `N passed, N failed, N skipped`. */
// biome-ignore lint/style/noDefaultExport: vitest loads reporters by their default export.
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const brokenFiles = modules.filter(
      (module) => module.state() === 'failed' && [...module.children.allTests('failed')].length === 0,
    ).length;
    for (const test of tests.filter((test) => test.result().state === 'skipped'))
      console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}`);
    for (const test of tests.filter((test) => test.diagnostic()?.flaky === true))
      console.log(`passed at the second try, which is a fault to be mended: ${test.module.relativeModuleId} > ${test.fullName}`);
    console.log(`${count('passed')} passed, ${count('failed') + brokenFiles} failed, ${count('skipped')} skipped`);
  }
}
