// What processes take, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Time between two looks, milliseconds. */
const LOOK_MS = 200;
/** Clock ticks of /proc a second, as on every common Linux. */
const TICKS = 100;

/**
 * Watches processes by their roles: `find` answers their ids by role, also of ones that are not there yet. `stop()` answers for each role the largest
 * resident memory of a process, MiB, processor time of all that had it, seconds, and the most descriptors at a time.
 */
export function watchProcesses(find) {
  const seen = new Map();
  const look = () => {
    for (const [role, pid] of Object.entries(find()))
      if (pid !== undefined) seen.set(`${role} ${pid}`, statusOf(pid) ?? seen.get(`${role} ${pid}`));
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    stop() {
      look();
      clearInterval(timer);
      const roles = {};
      for (const [key, status] of seen) {
        if (status === undefined) continue;
        const of = (roles[key.split(' ')[0]] ??= { mib: 0, seconds: 0, descriptors: 0 });
        of.mib = Math.max(of.mib, status.mib);
        of.seconds += status.seconds;
        of.descriptors = Math.max(of.descriptors, status.descriptors);
      }
      return roles;
    },
  };
}

/** The process that another one started first and that still runs. */
export function childOf(pid) {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? undefined : Number(children.split(' ')[0]);
  } catch {
    return undefined;
  }
}

/** Processor time that a process has taken, seconds; undefined when it is gone. */
export function processorSeconds(pid) {
  return statusOf(pid)?.seconds;
}

function statusOf(pid) {
  try {
    const mib = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1_024;
    // The name before may hold spaces; user and system time are fields 14 and 15 of proc(5).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    return { mib, seconds: (Number(fields[11]) + Number(fields[12])) / TICKS, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
}
