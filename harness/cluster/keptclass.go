package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// kept is an entry of the bucket of classes: a suite that keeps to one.
type kept struct {
	Format int    `json:"format"`
	Suite  string `json:"suite"`
	Class  string `json:"class"`
	Writer string `json:"writer"` // see record
}

// errKeptMeanwhile says that another run has settled on a class in this moment.
var errKeptMeanwhile = errors.New("another run has settled on a class of machine")

// keptKey is the key of a suite, whose name may have characters that a key cannot.
func keptKey(suite string) string { return hex.EncodeToString([]byte(suite)) }

// keptClass reads the class that a suite keeps to; the revision is 0 if there is none.
func (c *Cluster) keptClass(ctx context.Context, suite string) (k kept, revision uint64, err error) {
	var entry jetstream.KeyValueEntry
	err = c.patiently(ctx, func(ctx context.Context) (err error) {
		entry, err = c.classes.Get(ctx, keptKey(suite))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return kept{}, 0, nil
	}
	if err != nil {
		return kept{}, 0, err
	}
	if len(entry.Value()) > maxMessage || json.Unmarshal(entry.Value(), &k) != nil || k.Format != format || k.Suite != suite {
		k = kept{} // to be replaced
	}
	return k, entry.Revision(), nil
}

// keep notes the class that a suite keeps to, in place of a revision, 0 for none.
func (c *Cluster) keep(ctx context.Context, k kept, revision uint64) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	err = c.patiently(ctx, func(ctx context.Context) error {
		_, err := c.classes.Update(ctx, keptKey(k.Suite), text, revision)
		return err
	})
	if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return err
	}
	// It may be this very write, whose answer was lost.
	if there, _, reading := c.keptClass(ctx, k.Suite); reading != nil || there.Writer != k.Writer {
		return cmp.Or(reading, errKeptMeanwhile)
	}
	return nil
}
