import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LogName, Logs } from '#src/engine/ports.ts';

/** What every Logs must do. `reopen` answers with a Logs on the same data, as another process would see it. */
export function logsContract(
  name: string,
  make: () => Promise<{ readonly logs: Logs; reopen(): Logs; close(): Promise<void> }>,
): void {
  describe(`${name} keeps logs`, () => {
    let made: Awaited<ReturnType<typeof make>>;
    const log: LogName = { jobId: 'job-1', attempt: 1 };
    const never = new AbortController().signal;
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.close());

    async function collect(logs: Logs, from = 0, signal = never): Promise<string> {
      const chunks: Buffer[] = [];
      let expected = from;
      for await (const { offset, bytes } of logs.follow(log, from, signal)) {
        expect(offset).toBe(expected);
        expected += bytes.length;
        chunks.push(bytes);
      }
      return Buffer.concat(chunks).toString();
    }

    it('is empty where nothing was written', async () => {
      expect((await made.logs.read(log, 0)).length).toBe(0);
      expect(await made.logs.size(log)).toBe(0);
      expect(await collect(made.logs)).toBe('');
    });

    it('reads what was written, whole or in part', async () => {
      const writer = await made.logs.open(log);
      expect(writer.offset).toBe(0);
      writer.write(Buffer.from('one\n'));
      writer.write(Buffer.from('zwei: ü\n'));
      expect(writer.offset).toBe(13);
      await writer.close();
      expect(await made.logs.size(log)).toBe(13);
      expect((await made.logs.read(log, 0)).toString()).toBe('one\nzwei: ü\n');
      expect((await made.logs.read(log, 4, 8)).toString()).toBe('zwei');
      expect((await made.logs.read(log, 4, 1000)).toString()).toBe('zwei: ü\n');
      expect((await made.logs.read(log, 13)).length).toBe(0);
      expect((await made.logs.read(log, 99)).length).toBe(0);
      expect((await made.reopen().read(log, 0)).length).toBe(13);
    });

    it('goes on where an earlier writer stopped', async () => {
      const first = await made.logs.open(log);
      first.write(Buffer.from('one\n'));
      await first.close();
      const second = await made.reopen().open(log);
      expect(second.offset).toBe(4);
      second.write(Buffer.from('two\n'));
      await second.close();
      expect((await made.logs.read(log, 0)).toString()).toBe('one\ntwo\n');
    });

    it('keeps jobs and attempts apart', async () => {
      const names = [log, { jobId: 'job-1', attempt: 2 }, { jobId: 'job-2', attempt: 1 }];
      const writers = await Promise.all(names.map((each) => made.logs.open(each)));
      writers.forEach((writer, index) => writer.write(Buffer.from(`log ${index}`)));
      await Promise.all(writers.map((writer) => writer.close()));
      for (const [index, each] of names.entries()) {
        expect((await made.logs.read(each, 0)).toString()).toBe(`log ${index}`);
      }
    });

    it('has one writer a log', async () => {
      const writer = await made.logs.open(log);
      await expect(made.logs.open(log)).rejects.toThrow(/written already/);
      await writer.close();
      await (await made.logs.open(log)).close();
    });

    it('shows readers what is written within moments, without a close', async () => {
      const writer = await made.logs.open(log);
      const chunks = made.logs.follow(log, 0, never)[Symbol.asyncIterator]();
      writer.write(Buffer.from('alive'));
      expect((await chunks.next()).value?.bytes.toString()).toBe('alive');
      expect((await made.logs.read(log, 0)).toString()).toBe('alive');
      await writer.close();
      expect((await chunks.next()).done).toBe(true);
    });

    it('is followed from anywhere by many at once, and each ends when the writer is closed', async () => {
      const writer = await made.logs.open(log);
      const readers = [0, 0, 7, 500_000].map((from) => collect(made.logs, from));
      let whole = '';
      for (let line = 0; line < 20_000; line++) {
        const text = `line ${line} of the log, which is a little longer\n`;
        whole += text;
        writer.write(Buffer.from(text));
        if (line % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await writer.close();
      expect(await Promise.all(readers)).toEqual([whole, whole, whole.slice(7), whole.slice(500_000)]);
    });

    it('stops following when the signal is aborted', async () => {
      const writer = await made.logs.open(log);
      const stop = new AbortController();
      const reader = collect(made.logs, 0, stop.signal);
      stop.abort();
      expect(await reader).toBe('');
      await writer.close();
    });

    it('ends at the end where nobody writes in this process', async () => {
      const writer = await made.logs.open(log);
      writer.write(Buffer.from('half'));
      await writer.close();
      expect(await collect(made.reopen(), 2)).toBe('lf');
    });

    it.each([['../x'], ['a/b'], [''], ['.'], ['a\0b'], ['-x'], ['x'.repeat(200)]])(
      'refuses the job id %j',
      async (jobId) => {
        await expect(async () => made.logs.open({ jobId, attempt: 1 })).rejects.toThrow(/names no log/);
        await expect(async () => made.logs.read({ jobId, attempt: 1 }, 0)).rejects.toThrow(/names no log/);
      },
    );

    it('refuses to write once closed', async () => {
      const writer = await made.logs.open(log);
      await writer.close();
      await writer.close();
      expect(() => writer.write(Buffer.from('x'))).toThrow(/closed/);
    });
  });
}
