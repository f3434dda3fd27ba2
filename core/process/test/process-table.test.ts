import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listProcesses, membersOfSession, parseStat } from '../src/process-table.ts';

const line = (pid: number, name: string, state = 'S') =>
  `${pid} (${name}) ${state} 7 42 43 34816 ${pid} 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10`;

describe('a line of /proc/PID/stat', () => {
  it('is read past any name a process may give itself', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 15 }), (name) => {
        expect(parseStat(line(99, name))).toEqual({ pid: 99, parent: 7, group: 42, session: 43, startedAt: '987654' });
      }),
    );
  });

  it('counts for nothing when the process is a zombie or the line is cut', () => {
    expect(parseStat(line(99, 'x', 'Z'))).toBeNull();
    expect(parseStat('99 (x) S 7')).toBeNull();
    expect(parseStat('')).toBeNull();
  });
});

describe('the process table', () => {
  it('has this process', async () => {
    expect(await listProcesses()).toContainEqual(expect.objectContaining({ pid: process.pid, parent: process.ppid }));
  });

  it('knows the members of a session by session, group and descent, and nobody else', () => {
    const entry = (pid: number, parent: number, group: number, session: number) => ({ pid, parent, group, session, startedAt: '1' });
    const all = [
      entry(30, 20, 30, 30),
      entry(40, 30, 40, 40),
      entry(20, 10, 20, 10),
      entry(10, 5, 10, 10),
      entry(50, 5, 50, 50),
      entry(60, 1, 11, 10),
    ];
    const pids = membersOfSession(all, 10).map(({ pid }) => pid);
    expect(pids.sort()).toEqual([10, 20, 30, 40, 60]);
  });
});
