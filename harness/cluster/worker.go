package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/internal/host"
	"bittern/plugins"
)

// Worker takes jobs from the queue, one at a time, and runs them.
type Worker struct {
	Cluster   *Cluster
	Catalogue *host.Catalogue
	Data      string // folder of data sets
	Machine   provenance.Machine
	Deadline  time.Duration // of one call to a plugin; 0 = the host's default
	Verbose   bool          // Log takes what the plugins print too
	Log       func(line string)

	now func() time.Time // nil = the clock

	build      provenance.Build
	membership *membership
	desk       *desk
	workshop   *schedule.Workshop
}

// The times between signs of life, and between messages of progress.
const (
	heartbeat     = 5 * time.Second
	progressEvery = 500 * time.Millisecond
)

// refusedAgain is how long a job is left alone that this worker cannot take.
const refusedAgain = 10 * time.Second

// Work takes jobs until ctx is done, and returns its cause. The experiment under way is then
// saved for others to go on with. What the user has to mend is a [*plugins.Problem].
func (w *Worker) Work(ctx context.Context) (err error) {
	if w.now == nil {
		w.now = time.Now
	}
	w.build = provenance.CollectBuild(ctx)
	id := rand.Text()
	if w.membership, err = w.Cluster.join(ctx, id, w.build, w.Machine, w.Catalogue); err != nil {
		return err
	}
	defer w.membership.leave(context.WithoutCancel(ctx))
	if err := w.membership.compareClocks(ctx, w.now); err != nil {
		return err
	}
	if err := w.membership.tell(ctx); err != nil {
		return err
	}
	w.desk, w.workshop = w.Cluster.newDesk(w.membership.member.String()), schedule.NewWorkshop(w.Catalogue, w.Data)
	beats, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { every(beats, heartbeat, func() { _ = w.membership.tell(beats) }) }) // what lasts is noticed below
	defer beating.Wait()
	defer stop()

	jobs, err := w.Cluster.queues(ctx, w.Machine.Class())
	if err != nil {
		return err
	}
	w.Log(fmt.Sprintf("waiting for experiments from %s", w.Cluster.options))
	passed := passedOver{class: w.Machine.Class(), log: w.Log, told: map[string]bool{}}
	for ctx.Err() == nil {
		m, err := jobs.next()
		if ctx.Err() != nil {
			if m != nil {
				_ = m.Nak() // otherwise another is given it when the lease ends
			}
			break
		}
		if errors.Is(err, jetstream.ErrNoMessages) {
			passed.look(ctx, w.Cluster)
			continue
		}
		if silent(w.Cluster.explain(err)) {
			continue
		}
		if err != nil {
			// The server may have been replaced by one that knows nothing.
			if err := w.Cluster.patiently(ctx, w.Cluster.prepare); err != nil {
				return err
			}
			if jobs, err = w.Cluster.queues(ctx, w.Machine.Class()); err != nil {
				return err
			}
			continue
		}
		if err := w.job(ctx, m); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// every calls do at intervals until ctx is done.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// job runs the experiment of a message. An error ends the worker.
func (w *Worker) job(ctx context.Context, m jetstream.Msg) error {
	in, err := readMessage(m.Data())
	if err != nil {
		w.Log(err.Error())
		return m.TermWithReason(err.Error())
	}
	beats, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { every(beats, w.Cluster.options.lease/3, func() { _ = m.InProgress() }) })
	defer beating.Wait()
	defer stop()

	spec, err := w.spec(ctx, in)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		w.notice(in.Job.ID, "it cannot take "+jobName(in.Job)+": "+problem.Sentence)
		return m.NakWithDelay(refusedAgain)
	}
	if err != nil {
		return err
	}
	claim, err := w.desk.take(ctx, in.Job.ID)
	if errors.Is(err, errFinished) {
		return m.DoubleAck(ctx)
	}
	if err != nil {
		return err
	}
	failed, err := w.run(ctx, spec)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok && ctx.Err() == nil && lastTry(m) {
		failed, err = []experiment.Failed{{Failure: experiment.Failure{Reason: problem.Sentence}}}, nil
	}
	if err == nil {
		err = w.finish(ctx, checksum(m.Data()), claim, failed)
	} else if ctx.Err() != nil {
		// Another worker goes on from what is saved, without waiting for the lease to end.
		err = errors.Join(err, w.desk.leave(claim), m.Nak())
		return err
	}
	if leaving := w.desk.leave(claim); err == nil {
		err = leaving
	}
	if lost, ok := errors.AsType[*Lost](err); ok {
		w.notice(in.Job.ID, lost.Error())
		return nil
	}
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		w.notice(in.Job.ID, fmt.Sprintf("%s: %s", spec, problem.Sentence))
		return m.NakWithDelay(refusedAgain) // it may be this machine's
	}
	if err != nil {
		return err
	}
	w.Log(fmt.Sprintf("%s: finished", spec))
	return w.Cluster.patiently(context.WithoutCancel(ctx), func(ctx context.Context) error { return m.DoubleAck(ctx) })
}

// tries is how often a job is given to a worker before what is wrong is taken for the
// experiment's fault, not the machine's.
const tries = 5

func lastTry(m jetstream.Msg) bool {
	about, err := m.Metadata()
	return err == nil && about.NumDelivered >= tries
}

// spec is the experiment of a job, if this machine can take it.
func (w *Worker) spec(ctx context.Context, in message) (*experiment.Spec, error) {
	if !same(w.build, in.Build) {
		return nil, refusal(w.build, in.Build)
	}
	return w.workshop.Spec(ctx, in.Job)
}

func (w *Worker) run(ctx context.Context, spec *experiment.Spec) ([]experiment.Failed, error) {
	row, err := spec.Row()
	if err != nil {
		return nil, err
	}
	w.Log(fmt.Sprintf("%s: begins", spec))
	w.membership.update(func(m *Member) { m.Experiment, m.Name = row.ID, spec.String() })
	defer w.membership.update(func(m *Member) { m.Experiment, m.Name, m.Stage, m.Step, m.Steps, m.Speed = "", "", "", 0, 0, 0 })
	runner := &experiment.Runner{
		Catalogue: w.Catalogue, Storage: w.desk.storage(), Machine: w.Machine, Host: w.membership.member.Host, Deadline: w.Deadline,
		Log: func(line string) { w.notice(row.ID, line) }, Verbose: w.Verbose,
	}
	var told time.Time
	var stage experiment.Stage
	return runner.Run(ctx, spec, func(p experiment.Progress) {
		w.membership.update(func(m *Member) {
			m.Stage, m.Step, m.Steps = string(p.Stage), p.Step, p.Steps
			if p.Speed > 0 {
				m.Speed = p.Speed
			}
		})
		if p.Stage == stage && time.Since(told) < progressEvery {
			return
		}
		stage, told = p.Stage, time.Now()
		if text, err := json.Marshal(p); err == nil { // a loss that is no number cannot be sent, and fails the experiment
			_ = w.Cluster.nc.Publish(progressSubject+row.ID, text)
		}
	})
}

// finish notes that a job is finished.
func (w *Worker) finish(ctx context.Context, sum string, k *claim, failed []experiment.Failed) error {
	if err := k.change(func() error {
		k.next.State, k.next.Job, k.next.Failed = finished, sum, failed
		return nil
	}); err != nil {
		return err
	}
	return k.flush(context.WithoutCancel(ctx))
}

// notice tells a line to the user here, and to those who wait for the experiment.
func (w *Worker) notice(id, line string) {
	w.Log(line)
	_ = w.Cluster.nc.Publish(noticesSubject+id, []byte(w.membership.member.String()+": "+line))
}

// jobName names the experiment of a job that has no spec here.
func jobName(j experiment.Job) string {
	return fmt.Sprintf("%s, %s, %s, seed %d", j.Task.Label, j.Model.Label, j.Quantizer.Label, j.Seed)
}
