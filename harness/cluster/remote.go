package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/store"
	"bittern/plugins"
)

// Remote has workers run experiments, and gathers what they find in a run store. It is a
// [schedule.Runner].
type Remote struct {
	cluster *Cluster
	runs    *store.Store
	log     func(line string)
	build   provenance.Build

	own   bool
	class string // of the machines that may take the experiments; empty for all

	mu   sync.Mutex
	told map[string]bool   // lines of workers
	jobs map[string]string // checksums of jobs that were submitted, by experiment
}

var _ schedule.Runner = (*Remote)(nil)

// NewRemote makes a Remote. Log takes lines worth telling at once. If the server is this run's
// own, what was gathered is removed there.
func NewRemote(ctx context.Context, c *Cluster, runs *store.Store, own bool, log func(line string)) *Remote {
	return &Remote{
		cluster: c, runs: runs, log: log, own: own, build: provenance.CollectBuild(ctx),
		told: map[string]bool{}, jobs: map[string]string{},
	}
}

// Submit queues experiments that the run store does not have yet, in the order of
// [schedule.LongestFirst]. With again what is known of them is removed, here and at the server. Call it before Run.
func (r *Remote) Submit(ctx context.Context, specs []*experiment.Spec, work func(*experiment.Spec) float64, again bool) error {
	if r.own { // of a suite that was interrupted, jobs may be left
		if err := r.cluster.purge(ctx, jobsStream); err != nil {
			return err
		}
	}
	for _, s := range schedule.LongestFirst(specs, work) {
		row, err := s.Row()
		if err != nil {
			return err
		}
		if again {
			if err := r.forget(ctx, row); err != nil {
				return err
			}
		} else if done, err := experiment.Complete(ctx, folderOf(r.runs).Journal, s); done || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if err := r.seed(ctx, row.ID); err != nil {
			return err
		}
		if r.jobs[row.ID], err = r.cluster.queue(ctx, s, r.build, r.class); err != nil {
			return err
		}
	}
	return nil
}

// Run waits until workers have finished an experiment, and gathers what they found.
func (r *Remote) Run(ctx context.Context, s *experiment.Spec, report func(experiment.Progress)) (_ []experiment.Failed, err error) {
	row, err := s.Row()
	if err != nil {
		return nil, err
	}
	lock, err := r.runs.Lock(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if done, err := experiment.Complete(ctx, folderOf(r.runs).Journal, s); done || err != nil {
		return nil, err
	}
	report(experiment.Progress{Stage: experiment.Waiting})
	found, err := r.await(ctx, s, row.ID, report)
	if err != nil {
		return nil, err
	}
	if err := r.gather(ctx, found); err != nil {
		return nil, err
	}
	if r.own {
		err = r.cluster.forget(ctx, row.ID)
	}
	return found.Failed, err
}

// lookAgain is how often a record is looked at. A watch of JetStream would tell of a change at
// once, but takes longer to find its feet after the server was started again.
const lookAgain = 500 * time.Millisecond

// await follows an experiment until its job is finished and all its metrics are written.
func (r *Remote) await(parent context.Context, s *experiment.Spec, id string, report func(experiment.Progress)) (_ record, err error) {
	ctx, stop := context.WithCancel(parent)
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()

	job := r.jobs[id]
	if job == "" { // somebody was running it when the others were submitted
		if job, err = r.cluster.queue(ctx, s, r.build, r.class); err != nil {
			return record{}, err
		}
	}
	heard := make(chan *nats.Msg, 64)
	for _, subject := range []string{progressSubject, noticesSubject} {
		subscription, err := r.cluster.nc.ChanSubscribe(subject+id, heard)
		if err != nil {
			return record{}, r.cluster.explain(err)
		}
		defer func() { _ = subscription.Unsubscribe() }()
	}
	written := make(chan uint64, 1) // sequence number of the last chunk
	fault := make(chan error, 1)
	following.Go(func() {
		replay := replay{folder: r.runs.ExperimentDir(id)}
		err := r.cluster.follow(ctx, id, func(sequence uint64, text []byte) error {
			if err := replay.add(text); err != nil {
				return err
			}
			select {
			case <-written:
			default:
			}
			written <- sequence
			return nil
		})
		if err := errors.Join(err, replay.close()); err != nil {
			fault <- err
		}
	})
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	var done *record
	metrics := uint64(0)
	for done == nil || metrics < done.Metrics {
		select {
		case <-parent.Done():
			return record{}, context.Cause(parent)
		case err := <-fault:
			return record{}, err
		case metrics = <-written:
		case m := <-heard:
			r.hear(m, report)
		case <-look.C:
			found, _, err := r.cluster.record(ctx, id)
			if err != nil {
				return record{}, err
			}
			if found.State != finished {
				done = nil
				if err := r.show(ctx, found); err != nil {
					return record{}, err
				}
				continue
			}
			if found.Job != job && !found.complete(ctx, s) {
				// It was the job of another run, which asked for less.
				if job, err = r.cluster.queue(ctx, s, r.build, r.class); err != nil {
					return record{}, err
				}
				continue
			}
			done = &found
		}
	}
	stop()
	following.Wait() // the metrics are closed
	select {
	case err := <-fault:
		return record{}, err
	default:
	}
	return *done, nil
}

// show notes in the run store that an experiment is under way, for those who look at it. A
// result is not replaced.
func (r *Remote) show(ctx context.Context, found record) error {
	if found.Row == nil || found.Row.Status != store.Running {
		return nil
	}
	err := r.runs.PutExperiment(ctx, *found.Row)
	if errors.Is(err, store.ErrDone) {
		return nil
	}
	return err
}

// hear passes on what a worker says.
func (r *Remote) hear(m *nats.Msg, report func(experiment.Progress)) {
	if len(m.Data) > maxMessage {
		return
	}
	if strings.HasPrefix(m.Subject, noticesSubject) {
		line := plugins.Line(string(m.Data))
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.told[line] {
			r.told[line] = true
			r.log(line)
		}
		return
	}
	var p experiment.Progress
	if json.Unmarshal(m.Data, &p) == nil {
		report(p)
	}
}

// complete says whether the record has everything of an experiment.
func (r record) complete(ctx context.Context, s *experiment.Spec) bool {
	done, err := experiment.Complete(ctx, recordJournal{record: r}, s)
	return done && err == nil
}

// forget removes an experiment's results, here and at the server.
func (r *Remote) forget(ctx context.Context, row store.Experiment) (err error) {
	lock, err := r.runs.Lock(ctx, row.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if err := r.cluster.forget(ctx, row.ID); err != nil {
		return err
	}
	runner := experiment.Runner{Storage: folderOf(r.runs)}
	return runner.Forget(ctx, row)
}

// folder is an experiment's folder in the run store.
func (r *Remote) folder(id string, kind string) string {
	return filepath.Join(r.runs.ExperimentDir(id), kind)
}
