package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/plugins"
)

// message is a job in the queue.
type message struct {
	Format int              `json:"format"`
	Build  provenance.Build `json:"build"` // of the program that queued it
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

// queue puts the job of an experiment into the queue, unless it is there or finished already,
// and returns its checksum. A job that another run has queued is not replaced.
func (c *Cluster) queue(ctx context.Context, s *experiment.Spec, build provenance.Build) (sum string, err error) {
	job, err := s.Job()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(message{Format: format, Build: build, Job: job})
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
		if r.State == finished || r.State == "" {
			r.State, r.Job, r.Writer, r.Failed = queued, sum, rand.Text(), nil
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
		_, err := c.js.Publish(ctx, jobsSubject+isa.Current().String()+"."+job.ID, text)
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
		return c.patiently(ctx, func(ctx context.Context) error {
			stream, err := c.js.Stream(ctx, metricsStream)
			if err == nil {
				err = stream.Purge(ctx, jetstream.WithPurgeSubject(metricsSubject+id))
			}
			return err
		})
	}
}

// jobs is the queue of those jobs that this machine's instruction set can take.
func (c *Cluster) jobs(ctx context.Context) (consumer jetstream.Consumer, err error) {
	level := isa.Current().String()
	err = c.patiently(ctx, func(ctx context.Context) error {
		consumer, err = c.js.CreateOrUpdateConsumer(ctx, jobsStream, jetstream.ConsumerConfig{
			Durable: "workers-" + level, Description: "workers with the instruction set " + level,
			FilterSubject: jobsSubject + level + ".*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.options.lease,
		})
		return err
	})
	return consumer, err
}

// refusal says why this machine does not take a job of another build.
func refusal(ours, theirs provenance.Build) error {
	return plugins.Problemf("this worker is bittern of %s, and the suite was started by %s; install the same on both", buildName(ours), buildName(theirs))
}
