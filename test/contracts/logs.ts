import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LostJob } from '#src/engine/errors.ts';
import type { LogName, Logs, LogWriter } from '#src/engine/ports.ts';

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

    describe('where another process writes', () => {
      it('is followed as long as that is so, and to its end', async () => {
        const writer = await made.logs.open(log);
        writer.write(Buffer.from('one\n'));
        let asked = 0;
        let writing = true;
        const chunks: string[] = [];
        async function written(): Promise<boolean> {
          asked += 1;
          if (asked === 1) writer.write(Buffer.from('two\n'));
          if (asked === 2) {
            writer.write(Buffer.from('three\n'));
            await writer.close();
            writing = false;
          }
          return writing;
        }
        for await (const { bytes } of made.reopen().follow(log, 0, never, written)) chunks.push(bytes.toString());
        expect(chunks.join('')).toBe('one\ntwo\nthree\n');
        expect(asked).toBeGreaterThan(1);
      });

      it('is waited for, also before it is there', async () => {
        let writer: LogWriter | null = null;
        let asked = 0;
        async function written(): Promise<boolean> {
          asked += 1;
          if (asked === 2) {
            writer = await made.logs.open(log);
            writer.write(Buffer.from('late'));
            await writer.close();
          }
          return asked < 3;
        }
        const chunks: string[] = [];
        for await (const { bytes } of made.reopen().follow(log, 0, never, written)) chunks.push(bytes.toString());
        expect(chunks.join('')).toBe('late');
      });

      it('stops following when the signal is aborted, or nobody can say whether it is written', async () => {
        const stop = new AbortController();
        for await (const { bytes: _ } of made.logs.follow(log, 0, stop.signal, async () => {
          stop.abort();
          return true;
        }));
        const unknown = made.logs.follow(log, 0, never, () => Promise.reject(new Error('no database')));
        await expect(unknown[Symbol.asyncIterator]().next()).rejects.toThrow('no database');
      });
    });

    describe('cut', () => {
      const mine = async (): Promise<boolean> => true;

      async function left(text: string): Promise<void> {
        const writer = await made.logs.open(log);
        writer.write(Buffer.from(text));
        await writer.close();
      }

      it('forgets what lies behind the offset, and is written again from there', async () => {
        await left('begin\none\ntw');
        const writer = await made.reopen().open(log);
        await writer.cut(6, mine);
        expect(writer.offset).toBe(6);
        expect(await made.logs.size(log)).toBe(6);
        writer.write(Buffer.from('one\ntwo\n'));
        await writer.close();
        expect((await made.logs.read(log, 0)).toString()).toBe('begin\none\ntwo\n');
      });

      it('does nothing to a shorter log', async () => {
        await left('short');
        const writer = await made.logs.open(log);
        await writer.cut(5, mine);
        await writer.cut(100, mine);
        expect(writer.offset).toBe(5);
        writer.write(Buffer.from('er'));
        await writer.close();
        expect((await made.logs.read(log, 0)).toString()).toBe('shorter');
      });

      it('is refused once something was written', async () => {
        const writer = await made.logs.open(log);
        writer.write(Buffer.from('x'));
        await expect(writer.cut(0, mine)).rejects.toThrow(/being written/);
        await writer.close();
      });

      it("is refused where the job is another server's, which is not disturbed by what comes late", async () => {
        await left('one\ntwo\n');
        const other = made.reopen();
        const stale = await made.logs.open(log);
        const late = await other.open(log);
        const heir = await made.reopen().open(log);
        await late.cut(4, mine);
        late.write(Buffer.from('late\n'));
        await heir.cut(0, mine);
        heir.write(Buffer.from('anew\n'));
        await expect(stale.cut(0, async () => false)).rejects.toThrow(LostJob);
        await Promise.all([stale.close(), late.close(), heir.close()]);
        expect((await made.reopen().read(log, 0)).toString()).toBe('anew\n');
      });

      it('takes what is new without asking, unless somebody else took it', async () => {
        let asked = 0;
        const holds = async (): Promise<boolean> => ++asked === 0;
        const first = await made.logs.open(log);
        await first.cut(0, holds);
        expect(asked).toBe(0);
        const second = await made.reopen().open(log);
        await second.cut(0, mine);
        second.write(Buffer.from('second\n'));
        await expect(first.cut(0, holds)).rejects.toThrow(LostJob);
        await Promise.all([first.close(), second.close()]);
        expect((await made.reopen().read(log, 0)).toString()).toBe('second\n');
      });

      it.each(['the same process', 'another process'])(
        'keeps a reader of %s at its offset until the log has grown past it',
        async (where) => {
          await left('one\ntwo\n');
          const same = where === 'the same process';
          const reader = same ? made.logs : made.reopen();
          const writer = await made.logs.open(log);
          const chunks = reader.follow(log, 4, never, async () => true)[Symbol.asyncIterator]();
          expect((await chunks.next()).value?.bytes.toString()).toBe('two\n');
          await writer.cut(0, mine);
          const next = chunks.next();
          writer.write(Buffer.from('one\ntw'));
          await expectSize(reader, 6);
          writer.write(Buffer.from('o\nthree\n'));
          expect(await next).toMatchObject({ value: { offset: 8, bytes: Buffer.from('three\n') } });
          await chunks.return?.();
          await writer.close();
        },
      );

      async function expectSize(logs: Logs, size: number): Promise<void> {
        for await (const { offset, bytes } of logs.follow(log, 0, never, async () => true)) {
          if (offset + bytes.length >= size) return;
        }
      }
    });

    it('is there from the moment it was opened until it is removed', async () => {
      expect(await made.logs.exists(log)).toBe(false);
      await (await made.logs.open(log)).close();
      expect(await made.reopen().exists(log)).toBe(true);
      await made.logs.remove(log);
      expect(await made.reopen().exists(log)).toBe(false);
      await made.logs.remove(log);
    });

    it('is not removed while it is written', async () => {
      const writer = await made.logs.open(log);
      writer.write(Buffer.from('kept'));
      await made.logs.remove(log);
      await writer.close();
      expect((await made.logs.read(log, 0)).toString()).toBe('kept');
    });

    it('is listed with its size and time', async () => {
      const names = [log, { jobId: 'job-1', attempt: 12 }, { jobId: 'job_2-3', attempt: 1 }];
      const before = Date.now() - 5_000;
      for (const [index, name] of names.entries()) {
        const writer = await made.logs.open(name);
        writer.write(Buffer.alloc(index + 1));
        await writer.close();
      }
      const found = [];
      for await (const stored of made.reopen().all()) found.push(stored);
      const sizes = new Map(found.map(({ name, bytes }) => [`${name.jobId} ${name.attempt}`, bytes]));
      expect(sizes).toEqual(
        new Map([
          ['job-1 1', 1],
          ['job-1 12', 2],
          ['job_2-3 1', 3],
        ]),
      );
      for (const { at } of found) expect(at).toBeGreaterThan(before);
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
