package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
)

// chunk is a stretch of an experiment's metrics. Those of one claim have its epoch and are
// numbered from 0. Chunks of a claim that was lost meanwhile may come late: they have a lower
// epoch than some before them, and do not count.
type chunk struct {
	Format int    `json:"format"`
	Epoch  uint64 `json:"epoch"`
	Number int    `json:"number"`

	// Begin says that the metrics are cut to those of the first Keep steps, as
	// [store.OpenSteps] does.
	Begin bool   `json:"begin,omitempty"`
	Keep  uint64 `json:"keep,omitempty"`

	Steps       []store.Step       `json:"steps,omitempty"`
	Seconds     []float64          `json:"seconds,omitempty"` // of Steps
	Validations []store.Validation `json:"validations,omitempty"`
}

// A chunk is sent when it has so many steps, or after so long.
const (
	chunkSteps = 500
	chunkTime  = time.Second
)

// publishChunk sends a chunk and returns its sequence number in the stream.
func (c *Cluster) publishChunk(ctx context.Context, id string, part chunk) (sequence uint64, err error) {
	text, err := json.Marshal(part)
	if err != nil {
		return 0, err
	}
	message := nats.NewMsg(metricsSubject + id)
	message.Data = text
	err = c.patiently(ctx, func(ctx context.Context) error {
		// The ID has JetStream drop the second of two, where the answer to the first was lost.
		ack, err := c.js.PublishMsg(ctx, message, jetstream.WithMsgID(fmt.Sprintf("%s-%d-%d", id, part.Epoch, part.Number)))
		if err == nil {
			sequence = ack.Sequence
		}
		return err
	})
	return sequence, err
}

// metrics collects what is appended into chunks.
type metrics struct {
	claim *claim

	mu    sync.Mutex
	next  chunk
	since time.Time // the last chunk
}

func (j journal) Metrics(_ context.Context, experiment string, done uint64) (storage.Metrics, error) {
	k, err := j.claimed(experiment)
	if err != nil {
		return nil, err
	}
	m := &metrics{claim: k, next: chunk{Begin: true, Keep: done}}
	return m, m.Sync()
}

func (m *metrics) Append(step store.Step) error {
	if err := step.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next.Steps, m.next.Seconds = append(m.next.Steps, step), append(m.next.Seconds, step.Seconds)
	if len(m.next.Steps) < chunkSteps && time.Since(m.since) < chunkTime {
		return nil
	}
	return m.handOver()
}

func (m *metrics) AppendValidation(v store.Validation) error {
	if err := v.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next.Validations = append(m.next.Validations, v)
	return nil
}

// Sync hands over what was appended: it is sent before any checkpoint that is saved later.
func (m *metrics) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handOver()
}

func (m *metrics) handOver() error {
	if !m.next.Begin && len(m.next.Steps)+len(m.next.Validations) == 0 {
		return nil
	}
	part := m.next
	m.next, m.since = chunk{}, time.Now()
	return m.claim.change(func() error {
		part.Format, part.Epoch, part.Number = format, m.claim.epoch, m.claim.number
		m.claim.number++
		m.claim.chunks = append(m.claim.chunks, part)
		return nil
	})
}

func (m *metrics) Close() error { return m.Sync() }

// replay writes the chunks of an experiment into its folder of a run store.
type replay struct {
	folder string
	epoch  uint64
	next   int // number of the next chunk
	steps  *store.Steps
}

// add writes the text of a chunk.
func (r *replay) add(text []byte) error {
	var part chunk
	if len(text) > maxMessage {
		return plugins.Problemf("a message of metrics at the server has %d bytes, more than the %d that are taken; run the suite with --again", len(text), maxMessage)
	}
	if err := json.Unmarshal(text, &part); err != nil || part.Format != format || len(part.Seconds) != len(part.Steps) {
		return plugins.Problemf("the metrics at the server are damaged or of another version of bittern; run the suite with --again")
	}
	switch {
	case part.Epoch < r.epoch, part.Epoch == r.epoch && part.Number < r.next:
		return nil
	case part.Epoch > r.epoch:
		r.epoch, r.next = part.Epoch, 0
	}
	if part.Number != r.next || part.Number == 0 && !part.Begin {
		return plugins.Problemf("a part of the metrics is missing at the server; run the suite with --again")
	}
	r.next++
	if part.Begin {
		if err := r.close(); err != nil {
			return err
		}
		var err error
		if r.steps, err = store.OpenSteps(r.folder, part.Keep); err != nil {
			return err
		}
	}
	for i, step := range part.Steps {
		step.Seconds = part.Seconds[i]
		if err := r.steps.Append(step); err != nil {
			return err
		}
	}
	for _, v := range part.Validations {
		if err := r.steps.AppendValidation(v); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) close() error {
	if r.steps == nil {
		return nil
	}
	err := errors.Join(r.steps.Sync(), r.steps.Close())
	r.steps = nil
	return err
}

// follow calls add with the chunks of an experiment as they come, until ctx is done. Where the
// connection was lost it begins again with the first: add must not mind one that it knows.
func (c *Cluster) follow(ctx context.Context, id string, add func(sequence uint64, text []byte) error) error {
	for ctx.Err() == nil {
		messages, err := c.messages(ctx, id)
		if err != nil {
			return err
		}
		if err := readMessages(ctx, messages, add); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) messages(ctx context.Context, id string) (messages jetstream.MessagesContext, err error) {
	err = c.patiently(ctx, func(ctx context.Context) error {
		consumer, err := c.js.OrderedConsumer(ctx, metricsStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{metricsSubject + id}})
		if err == nil {
			messages, err = consumer.Messages()
		}
		return err
	})
	return messages, err
}

// readMessages calls add with messages until they end.
func readMessages(ctx context.Context, messages jetstream.MessagesContext, add func(sequence uint64, text []byte) error) error {
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		message, err := messages.Next()
		if err != nil {
			return nil
		}
		about, err := message.Metadata()
		if err != nil {
			return err
		}
		if err := add(about.Sequence.Stream, message.Data()); err != nil {
			return err
		}
	}
}
