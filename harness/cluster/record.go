package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"bittern/harness/checkpoint"
	"bittern/harness/experiment"
	"bittern/harness/internal/pace"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
)

// state is what happens with an experiment.
type state string

const (
	queued   state = "queued"
	running  state = "running"
	finished state = "finished" // its job is: the experiment may have failed
)

// record is all that is known of an experiment. It is replaced as a whole, by a write that
// names the revision before it.
type record struct {
	Format     int    `json:"format"`
	Experiment string `json:"experiment"`
	State      state  `json:"state"`
	Job        string `json:"job,omitempty"`    // checksum of the job that was queued last
	Class      string `json:"class,omitempty"`  // of the machines that may take that job; empty for all
	Worker     string `json:"worker,omitempty"` // that has the experiment, or had it last
	// Writer is a random text of each write. By it a writer whose answer was lost knows its
	// own write again.
	Writer string `json:"writer"`

	Row         *store.Experiment        `json:"row,omitempty"`
	Deployments []store.Deployment       `json:"deployments,omitempty"`
	Failed      []experiment.Failed      `json:"failed,omitempty"` // when the job was finished
	Saved       map[storage.Kind]savedAt `json:"saved,omitempty"`
	Artifact    *artifactFiles           `json:"artifact,omitempty"`
	Metrics     uint64                   `json:"metrics,omitempty"` // sequence number of the last chunk
}

// savedAt is a checkpoint.
type savedAt struct {
	Manifest checkpoint.Manifest `json:"manifest"`
	Tensors  file                `json:"tensors"` // safetensors
}

// artifactFiles are the two files of a deployed network.
type artifactFiles struct {
	Checksum string `json:"checksum"`
	Program  file   `json:"program"`
	Tensors  file   `json:"tensors"`
}

// file is an object of the bucket of files.
type file struct {
	Name string `json:"name"`
	Size uint64 `json:"size"`
}

// files lists the objects that the record names.
func (r record) files() []string {
	var names []string
	for _, s := range r.Saved {
		names = append(names, s.Tensors.Name)
	}
	if r.Artifact != nil {
		names = append(names, r.Artifact.Program.Name, r.Artifact.Tensors.Name)
	}
	return names
}

// Lost says that a worker no longer has its experiment: it was silent for too long and another
// one has it, or the experiment was begun afresh.
type Lost struct{ Experiment string }

func (l *Lost) Error() string {
	return fmt.Sprintf("experiment %s was given to another worker meanwhile; nothing more of it is stored from here", l.Experiment)
}

// errNoRecord says that the server knows nothing of an experiment.
var errNoRecord = errors.New("the server has no such experiment")

// record reads what the server knows of an experiment.
func (c *Cluster) record(ctx context.Context, id string) (r record, revision uint64, err error) {
	var entry jetstream.KeyValueEntry
	err = c.patiently(ctx, func(ctx context.Context) (err error) {
		entry, err = c.experiments.Get(ctx, id)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return record{}, 0, errNoRecord
	}
	if err != nil {
		return record{}, 0, err
	}
	r, err = readRecord(id, entry.Value())
	return r, entry.Revision(), err
}

func readRecord(id string, text []byte) (record, error) {
	var r record
	if len(text) > maxMessage {
		return r, plugins.Problemf("what the server knows of experiment %s has %d bytes, more than the %d that are taken; run the suite with --again", id, len(text), maxMessage)
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Experiment != id || r.Format != format {
		return r, plugins.Problemf("what the server knows of experiment %s is damaged or of another version of bittern; run the suite with --again", id)
	}
	return r, nil
}

// replace writes a record in place of the given revision, 0 for none, and returns the new
// one. If another revision is there, the error is a [*Lost].
func (c *Cluster) replace(ctx context.Context, r record, revision uint64) (uint64, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	var written uint64
	err = c.patiently(ctx, func(ctx context.Context) (err error) {
		written, err = c.experiments.Update(ctx, r.Experiment, text, revision)
		return err
	})
	if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return written, err
	}
	// It may be this very write, whose answer was lost.
	there, found, reading := c.record(ctx, r.Experiment)
	if reading == nil && there.Writer == r.Writer {
		return found, nil
	}
	if reading != nil && !errors.Is(reading, errNoRecord) {
		if _, damaged := errors.AsType[*plugins.Problem](reading); !damaged {
			return 0, reading
		}
	}
	return 0, &Lost{Experiment: r.Experiment}
}

// upload stores a file under a name of its own, at the given pace.
func (c *Cluster) upload(ctx context.Context, name string, content []byte, p *pace.Pace) (file, error) {
	err := c.patientlyLong(ctx, len(content), func(ctx context.Context) error {
		_, err := c.files.Put(ctx, jetstream.ObjectMeta{Name: name}, p.Reader(bytes.NewReader(content)))
		return err
	})
	return file{Name: name, Size: uint64(len(content))}, err
}

// download reads a file, whose checksum JetStream's object store compares.
func (c *Cluster) download(ctx context.Context, f file) (content []byte, err error) {
	if f.Size > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are taken", f.Name, f.Size, int64(maxFile))
	}
	err = c.patientlyLong(ctx, int(f.Size), func(ctx context.Context) error {
		info, err := c.files.GetInfo(ctx, f.Name)
		if err == nil && info.Size != f.Size {
			return fmt.Errorf("%s has %d bytes instead of %d", f.Name, info.Size, f.Size)
		}
		if err == nil {
			content, err = c.files.GetBytes(ctx, f.Name)
		}
		return err
	})
	return content, err
}

// remove deletes files that no record names any more. What fails only takes room.
func (c *Cluster) remove(ctx context.Context, names ...string) {
	for _, name := range names {
		one, cancel := context.WithTimeout(ctx, answerTime)
		_ = c.files.Delete(one, name)
		cancel()
	}
}
