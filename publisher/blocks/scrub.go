package blocks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// rereadDelay is the wait before a block that looks damaged is read again: the server may have been
// writing it.
const rereadDelay = 2 * time.Second

// Scrub reads all blocks that were not read within o.TrustedFor, at a limited rate, while a server has the
// store open. It changes nothing: the next Check repairs what it finds damaged.
func Scrub(ctx context.Context, o Options, bytesPerSecond int64) (Result, error) {
	c := &check{Options: o, began: time.Now(), memory: recall(o.Memory)}
	err := c.each(func(f folder) error { return c.scrub(ctx, f, bytesPerSecond) })
	if err == nil {
		err = c.memory.keep(o.Memory)
	}
	c.result.Took = time.Since(c.began)
	return c.result, err
}

func (c *check) scrub(ctx context.Context, f folder, bytesPerSecond int64) error {
	numbers, err := f.numbers()
	if err != nil || f.foreign() || len(numbers) == 0 {
		return err
	}
	for i, number := range numbers {
		if _, ok := c.known(f, number); ok {
			continue
		}
		began, scrub := time.Now(), c.scrubBlock
		if i == len(numbers)-1 {
			scrub = c.scrubLast
		}
		if err := scrub(ctx, f, number); err != nil {
			return err
		}
		read := size(f.block(number))
		c.result.Bytes += read
		wait := time.Duration(read)*time.Second/time.Duration(bytesPerSecond) - time.Since(began)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
	return nil
}

// scrubBlock reads a block, and again if it looks damaged or changes meanwhile.
func (c *check) scrubBlock(ctx context.Context, f folder, number uint32) error {
	for tries := 0; tries < 3; tries++ {
		l, err := f.look(number, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // all its messages have expired
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(f.block(number))
		unchanged := err == nil && stampOf(info, 0).Changed == l.stamp.Changed && info.Size() == l.size
		switch {
		case unchanged && len(l.damaged) == 0:
			c.memory[c.name(f.block(number))] = l.stamp
			return nil
		case unchanged && tries > 0:
			c.scrubbed(f, number, len(l.damaged))
			return nil
		}
		if !sleep(ctx, rereadDelay) {
			return ctx.Err()
		}
	}
	return nil // it changes all the time, so the server is using it
}

// scrubLast reads the block that the server is writing. A record that is incomplete because of that is complete a while
// later, and everything else remains where it is.
func (c *check) scrubLast(ctx context.Context, f folder, number uint32) error {
	var before []span
	for range 2 {
		l, err := f.look(number, 0)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(l.damaged) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if before != nil {
			known := slices.DeleteFunc(l.damaged, func(now span) bool {
				return !slices.ContainsFunc(before, func(then span) bool { return then.from == now.from })
			})
			c.scrubbed(f, number, len(known))
			return nil
		}
		before = l.damaged
		if !sleep(ctx, rereadDelay) {
			return ctx.Err()
		}
	}
	return nil
}

// scrubbed records that a block is damaged in some places.
func (c *check) scrubbed(f folder, number uint32, places int) {
	if places > 0 {
		c.found(f, Finding{Kind: KindBlock, File: c.name(f.block(number)), Lost: make([]Lost, places)})
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// RecordClosed records the timer lists and the ends of the streams after a regular shutdown of the server.
func RecordClosed(o Options) error {
	c := &check{Options: o, memory: recall(o.Memory)}
	err := c.each(func(f folder) error {
		for _, name := range timerFiles {
			path := filepath.Join(f.path, messagesDir, name)
			raw, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			c.memory[c.name(path)] = stamp{Digest: digest(raw)}
		}
		c.memory[c.name(filepath.Join(f.path, messagesDir, indexFile))] = stamp{Last: f.index().last}
		return nil
	})
	if err != nil {
		return err
	}
	return c.memory.keep(o.Memory)
}
