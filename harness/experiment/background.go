package experiment

import (
	"context"

	"bittern/harness/internal/pace"
	"bittern/harness/storage"
)

// background saves checkpoints while training goes on. It saves one at a time, and a checkpoint
// that is being saved is kept whole or not at all, as ever. It is for one goroutine.
//
// It does not mind [Quiet]: it takes less of a machine than can be measured.
type background struct {
	saver    saver
	metrics  storage.Metrics
	snapshot *snapshot

	pace   *pace.Pace // of the save under way
	result chan error // of it; nil if there is none
}

// save saves the tensors as they are now in the background: as the best network too, if best is
// not nil. It waits for the save before it, if that is still under way, and the error may be that
// one's. Before parameters move, call [snapshot.finish]; before statistics are gathered, call
// [background.release].
func (b *background) save(ctx context.Context, best *position, at position) error {
	if err := b.wait(); err != nil {
		return err
	}
	if err := b.snapshot.begin(); err != nil {
		return err
	}
	p, result := pace.Slow(), make(chan error, 1)
	b.pace, b.result = p, result
	go func() { result <- b.write(ctx, best, at, p) }()
	return nil
}

// write saves the snapshot, after the metrics, so that no power cut leaves a checkpoint ahead of
// them; and the best network before the position that refers to it. When it returns nothing
// reads the tensors any more, whose memory may then go.
func (b *background) write(ctx context.Context, best *position, at position, p *pace.Pace) (err error) {
	defer b.snapshot.arena.Guard(&err)() // for what the snapshot shares with it
	if err := b.snapshot.finish(); err != nil {
		return err
	}
	if err := b.metrics.Sync(); err != nil {
		return err
	}
	if best != nil {
		if err := b.saver.saveBest(ctx, *best, b.snapshot.copied, p); err != nil {
			return err
		}
	}
	return b.saver.saveLast(ctx, at, b.snapshot.copied, p)
}

// release waits for the save that is under way and gives up the memory of the snapshot until the
// next.
func (b *background) release() error {
	err := b.wait()
	b.snapshot.release()
	return err
}

// busy says whether a save is under way. The error is that of one that has failed.
func (b *background) busy() (bool, error) {
	select {
	case err := <-b.result:
		b.result = nil
		return false, err
	default:
		return b.result != nil, nil
	}
}

// wait waits for the save that is under way, which then goes on as fast as it can.
func (b *background) wait() error {
	if b.result == nil {
		return nil
	}
	b.pace.Hurry()
	err := <-b.result
	b.result = nil
	return err
}
