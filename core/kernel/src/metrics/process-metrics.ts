import { readdir } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';

/** How often the event loop is asked whether it is late, milliseconds. */
const LOOP_RESOLUTION_MS = 20;
/** Span of time that the delays of the event loop are told for, milliseconds: shorter than the pause between two scrapes. */
const LOOP_SPAN_MS = 10_000;
const OPEN_FILES = '/proc/self/fd';

/**
 * Figures of this process, under the names that dashboards know from other programs. The library's own set is not used: it
 * starts observers that cannot be ended, and tells everybody the version of Node.
 */
export function addProcessMetrics(registry: Registry): Disposable {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time, seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  const startedAt = Math.round(Date.now() / 1_000 - process.uptime());
  gauge('process_start_time_seconds', 'Start of the process, seconds since 1970.', () => startedAt);
  gauge('process_resident_memory_bytes', 'Resident memory, bytes.', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_total_bytes', 'Heap that is allocated, bytes.', () => process.memoryUsage().heapTotal);
  gauge('nodejs_heap_size_used_bytes', 'Heap that is in use, bytes.', () => process.memoryUsage().heapUsed);
  gauge('nodejs_external_memory_bytes', 'Memory outside of the heap that objects of it hold, bytes.', () => process.memoryUsage().external);
  addOpenFiles(registers);
  return addLoopDelay(gauge);
}

/** Where the system has no such folder, the figure is left out. */
function addOpenFiles(registers: Registry[]): void {
  new Gauge({
    name: 'process_open_fds',
    help: 'Open file descriptors.',
    registers,
    async collect() {
      const open = await readdir(OPEN_FILES).catch(() => null);
      // The folder itself is open while it is read.
      if (open === null) this.remove();
      else this.set(open.length - 1);
    },
  });
}

function addLoopDelay(gauge: (name: string, help: string, read: () => number) => unknown): Disposable {
  const histogram = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  histogram.enable();
  const delay = (percentile: number) => Math.max(0, histogram.percentile(percentile) / 1e9 - LOOP_RESOLUTION_MS / 1_000);
  let last = { p50: 0, p99: 0 };
  // By its own clock: whoever asks often must not shorten the span for the others.
  const timer = setInterval(() => {
    last = { p50: delay(50), p99: delay(99) };
    histogram.reset();
  }, LOOP_SPAN_MS);
  timer.unref();
  gauge('nodejs_eventloop_lag_p50_seconds', 'Delay of the event loop over the last seconds, median.', () => last.p50);
  gauge('nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop over the last seconds, 99th percentile.', () => last.p99);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
