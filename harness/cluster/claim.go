package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"bittern/harness/internal/pace"
	"bittern/harness/storage"
)

// claim is the right to write what belongs to an experiment. What is written is taken in at
// once and sent in the background, in this order: metrics, files, the record that names them.
// Training never waits for it.
type claim struct {
	cluster *Cluster
	id      string
	epoch   uint64 // the revision of the record that made the claim; a later claim has a higher one
	ctx     context.Context
	stop    context.CancelFunc
	wake    chan struct{} // something is to be sent; closed in the end
	done    chan struct{} // closed when nothing is sent any more

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when something was sent or the claim is lost
	next    record        // as it is to be
	saving  map[storage.Kind]*snapshot
	storing map[storage.Kind]*snapshot // is being sent
	chunks  []chunk
	number  int             // of the next chunk
	trash   []string        // files that the next record does not name any more
	made    map[string]bool // files that no record names yet
	asked   int             // changes so far
	sent    int             // of them
	waiting int             // who waits until all is sent
	pace    *pace.Pace      // of what is being sent

	revision uint64 // of the record on the server; only the sender uses it
	lost     error  // why nothing can be sent any more
}

// snapshot is a checkpoint as it was saved; one without content is to be removed.
type snapshot struct {
	manifest savedAt
	content  []byte
}

// claim takes the right to write an experiment, from whoever has it.
func (c *Cluster) claim(ctx context.Context, id, worker string) (*claim, error) {
	for {
		r, revision, err := c.record(ctx, id)
		if errors.Is(err, errNoRecord) {
			r, err = record{Format: format, Experiment: id}, nil
		}
		if err != nil {
			return nil, err
		}
		if r.State == finished {
			return nil, errFinished
		}
		r.State, r.Worker, r.Writer, r.Failed = running, worker, rand.Text(), nil
		revision, err = c.replace(ctx, r, revision)
		if _, taken := errors.AsType[*Lost](err); taken {
			continue // somebody wrote in between
		}
		if err != nil {
			return nil, err
		}
		k := &claim{
			cluster: c, id: id, epoch: revision, revision: revision, next: r,
			wake: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{}),
			saving: map[storage.Kind]*snapshot{}, storing: map[storage.Kind]*snapshot{}, made: map[string]bool{},
		}
		k.ctx, k.stop = context.WithCancel(context.WithoutCancel(ctx))
		go k.send()
		return k, nil
	}
}

// errFinished says that the job of an experiment is finished.
var errFinished = errors.New("the job is finished")

// change changes what is to be sent, unless the claim is lost.
func (k *claim) change(change func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost != nil {
		return k.lost
	}
	if err := change(); err != nil {
		return err
	}
	k.asked++
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return nil
}

// flush waits until everything is sent.
func (k *claim) flush(ctx context.Context) error {
	k.mu.Lock()
	target := k.asked
	k.waiting++
	k.pace.Hurry()
	for {
		if k.lost != nil || k.sent >= target {
			defer k.mu.Unlock()
			k.waiting--
			return k.lost
		}
		changed := k.changed
		k.mu.Unlock()
		var gone error
		select {
		case <-ctx.Done():
			gone = context.Cause(ctx)
		case <-changed:
		}
		k.mu.Lock()
		if gone != nil {
			defer k.mu.Unlock()
			k.waiting--
			return gone
		}
	}
}

// close ends the claim without sending anything more.
func (k *claim) close() {
	k.stop()
	<-k.done
}

// send sends what is asked for until the claim is closed or lost.
func (k *claim) send() {
	defer close(k.done)
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-k.wake:
		}
		if err := k.sendAll(); err != nil {
			k.lose(err)
			return
		}
	}
}

// lose notes why nothing can be sent any more, and removes what was sent in vain.
func (k *claim) lose(why error) {
	k.mu.Lock()
	k.lost = why
	made := slices.Collect(maps.Keys(k.made))
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	if _, lost := errors.AsType[*Lost](why); lost {
		k.cluster.remove(context.WithoutCancel(k.ctx), made...)
	}
}

// upload stores a file under a name that no other has. It is for a record to name.
func (k *claim) upload(ctx context.Context, what string, content []byte, p *pace.Pace) (file, error) {
	f, err := k.cluster.upload(ctx, k.id+"/"+what+"/"+rand.Text(), content, p)
	if err != nil {
		return f, err
	}
	k.mu.Lock()
	lost := k.lost
	k.made[f.Name] = true
	k.mu.Unlock()
	if lost != nil {
		k.cluster.remove(ctx, f.Name)
	}
	return f, lost
}

// sendAll sends what is asked for now, all of it with one record.
func (k *claim) sendAll() error {
	k.mu.Lock()
	p := pace.Slow()
	if k.pace = p; k.waiting > 0 {
		p.Hurry()
	}
	target, chunks, snapshots, trash, r := k.asked, k.chunks, k.saving, k.trash, k.next
	k.chunks, k.saving, k.storing, k.trash = nil, map[storage.Kind]*snapshot{}, snapshots, nil
	k.mu.Unlock()

	var err error
	for _, c := range chunks {
		if r.Metrics, err = k.cluster.publishChunk(k.ctx, k.id, c); err != nil {
			return err
		}
	}
	r.Saved = maps.Clone(r.Saved)
	for kind, s := range snapshots {
		if old, ok := r.Saved[kind]; ok {
			trash = append(trash, old.Tensors.Name)
		}
		if s.content == nil {
			delete(r.Saved, kind)
			continue
		}
		if s.manifest.Tensors, err = k.upload(k.ctx, string(kind), s.content, p); err != nil {
			return err
		}
		if r.Saved == nil {
			r.Saved = map[storage.Kind]savedAt{}
		}
		r.Saved[kind] = s.manifest
	}
	r.Writer = rand.Text()
	revision, err := k.cluster.replace(k.ctx, r, k.revision)
	if err != nil {
		return err
	}
	k.revision = revision

	k.mu.Lock()
	k.sent, k.storing = target, map[storage.Kind]*snapshot{}
	k.next.Saved, k.next.Metrics = r.Saved, r.Metrics
	for _, name := range r.files() {
		delete(k.made, name)
	}
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	k.cluster.remove(k.ctx, trash...)
	return nil
}

// flushTime is how long a worker that ends waits until everything is sent, and lostTime if
// there is no connection: the server has most likely ended with the run.
const (
	flushTime = time.Minute
	lostTime  = 3 * time.Second
)

// release waits until everything is sent, and ends the claim.
func (k *claim) release() error {
	defer k.close()
	longest := flushTime
	if !k.cluster.nc.IsConnected() {
		longest = lostTime
	}
	ctx, cancel := context.WithTimeout(k.ctx, longest)
	defer cancel()
	return k.flush(ctx)
}
