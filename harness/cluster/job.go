package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/plugins"
)

// message is a job in the queue.
type message struct {
	Format int              `json:"format"`
	Build  provenance.Build `json:"build"`           // of the program that queued it
	Class  string           `json:"class,omitempty"` // of the machines that may take it; empty for all
	Job    experiment.Job   `json:"job"`
}

// checksum identifies the message of a job.
func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func readMessage(text []byte) (message, error) {
	var m message
	if len(text) > maxMessage {
		return m, plugins.Problemf("a job at the server has %d bytes, more than the %d that are taken", len(text), maxMessage)
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Format != format {
		return m, plugins.Problemf("a job at the server is damaged or of another version of bittern")
	}
	return m, nil
}

// same says whether two programs were built from the same sources.
func same(a, b provenance.Build) bool {
	return a.Version == b.Version && a.Commit == b.Commit && a.Modified == b.Modified
}

func buildName(b provenance.Build) string {
	name := "commit " + b.Commit
	if b.Version != "" {
		name = b.Version
	}
	if b.Modified {
		name += " with changes"
	}
	return name
}

// subject is where a job for machines of a class, empty for all, is queued.
func subject(level, class, id string) string {
	if class != "" {
		level += "." + classToken(class)
	}
	return jobsSubject + level + "." + id
}

// queue puts the job of an experiment into the queue, for machines of a class if one is given,
// unless it is there or finished already, and returns its checksum. A job that another run has
// queued is not replaced; if it is for other machines, that is a [*plugins.Problem].
func (c *Cluster) queue(ctx context.Context, s *experiment.Spec, build provenance.Build, class string) (sum string, err error) {
	job, err := s.Job()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(message{Format: format, Build: build, Class: class, Job: job})
	if err != nil {
		return "", err
	}
	sum = checksum(text)
	for {
		r, revision, err := c.record(ctx, job.ID)
		if errors.Is(err, errNoRecord) {
			r, err = record{Format: format, Experiment: job.ID}, nil
		}
		if err != nil {
			return "", err
		}
		if r.State == finished && r.Job == sum && len(r.Failed) == 0 {
			return sum, nil
		}
		if (r.State == queued || r.State == running) && r.Class != class {
			if class != "" {
				return "", queuedElsewhere(s, r.Class, class)
			}
			class = r.Class
		}
		if r.State == finished || r.State == "" {
			r.State, r.Job, r.Class, r.Writer, r.Failed = queued, sum, class, rand.Text(), nil
			_, err = c.replace(ctx, r, revision)
		}
		if _, taken := errors.AsType[*Lost](err); taken {
			continue // somebody wrote in between
		}
		if err != nil {
			return "", err
		}
		break
	}
	err = c.patiently(ctx, func(ctx context.Context) error {
		_, err := c.js.Publish(ctx, subject(isa.Numbers(), class, job.ID), text)
		return err
	})
	if errors.Is(err, errQueued) {
		err = nil
	}
	return sum, err
}

// forget removes what the server knows of an experiment. A worker that has it loses it.
func (c *Cluster) forget(ctx context.Context, id string) error {
	for {
		r, revision, err := c.record(ctx, id)
		if errors.Is(err, errNoRecord) {
			return nil
		}
		if _, damaged := errors.AsType[*plugins.Problem](err); err != nil && !damaged || revision == 0 {
			return err
		}
		files := r.files()
		_, err = c.replace(ctx, record{Format: format, Experiment: id, Writer: rand.Text()}, revision)
		if _, taken := errors.AsType[*Lost](err); taken {
			continue
		}
		if err != nil {
			return err
		}
		c.remove(ctx, files...)
		// A job that is left is of the state before: of other machines, it may be.
		for _, s := range []string{subject("*", "", id), subject("*.*", "", id)} {
			if err := c.purge(ctx, jobsStream, jetstream.WithPurgeSubject(s)); err != nil {
				return err
			}
		}
		return c.purge(ctx, metricsStream, jetstream.WithPurgeSubject(metricsSubject+id))
	}
}

func (c *Cluster) purge(ctx context.Context, name string, which ...jetstream.StreamPurgeOpt) error {
	return c.patiently(ctx, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, name)
		if err == nil {
			err = stream.Purge(ctx, which...)
		}
		return err
	})
}

// queues are those whose jobs this machine can take.
type queues struct {
	all jetstream.Consumer // for machines of all classes with the instruction set
	own jetstream.Consumer // for those of this machine's class; nil if it is of none
}

func (c *Cluster) queues(ctx context.Context, class string) (q queues, err error) {
	level := isa.Numbers()
	if q.all, err = c.consumer(ctx, "workers-"+level, "workers with the instruction set "+level, subject(level, "", "*")); err != nil || class == "" {
		return q, err
	}
	q.own, err = c.consumer(ctx, "workers-"+level+"-"+classToken(class), "workers of the class "+class, subject(level, class, "*"))
	return q, err
}

func (c *Cluster) consumer(ctx context.Context, name, description, subjects string) (consumer jetstream.Consumer, err error) {
	err = c.patiently(ctx, func(ctx context.Context) error {
		consumer, err = c.js.CreateOrUpdateConsumer(ctx, jobsStream, jetstream.ConsumerConfig{
			Durable: name, Description: description,
			FilterSubject: subjects, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.options.lease,
		})
		return err
	})
	return consumer, err
}

// next waits a moment for a job. The error is jetstream.ErrNoMessages if none comes.
func (q queues) next() (jetstream.Msg, error) {
	if q.own != nil {
		batch, err := q.own.FetchNoWait(1)
		if err != nil {
			return nil, err
		}
		for m := range batch.Messages() {
			return m, nil
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
	}
	// The server ends the wait. A job that it sends in the last moment is still taken.
	const wait = 500 * time.Millisecond
	m, err := q.all.Next(jetstream.FetchMaxWait(wait))
	if errors.Is(err, nats.ErrTimeout) {
		err = jetstream.ErrNoMessages
	}
	return m, err
}

// refusal says why this machine does not take a job of another build.
func refusal(ours, theirs provenance.Build) error {
	return plugins.Problemf("this worker is bittern of %s, and the suite was started by %s; install the same on both", buildName(ours), buildName(theirs))
}
