package format

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format/internal/event"
	"bittern/reports/table"
)

// writeTensorBoard writes the training curves as TensorBoard's event files: a run, which
// is a folder, for each experiment, at TASK/MODEL/QUANTIZER/seed-N. Its scalars are
// train/loss (nats a target), train/gradient_norm and train/learning_rate of each
// training step, and validation/deployable and where it was measured validation/paper_style, in the
// task's metric, of each validation; their step is the number of training steps done. Wall times
// are those of the run store: when a sitting started, and the seconds of its steps.
func writeTensorBoard(folder *os.Root, r *reports.Report) error {
	if err := finished(r); err != nil {
		return err
	}
	var names []string
	for i := range r.Experiments {
		e := &r.Experiments[i]
		name := path.Join(fileName(e.Task), fileName(e.ModelName()), fileName(e.Quantizer), "seed-"+strconv.FormatUint(e.Seed, 10))
		if slices.Contains(names, name) { // labels that differ only in what no file name has
			name += "-" + e.ID
		}
		names = append(names, name)
		if err := writeRun(folder, name, e); err != nil {
			return err
		}
	}
	return nil
}

func writeRun(folder *os.Root, name string, e *reports.Experiment) (err error) {
	steps, err := store.ReadSteps(e.Folder)
	if e.Unread != "" {
		err = errors.New(e.Unread)
	}
	if err != nil {
		return plugins.Problemf("the curves of experiment %s cannot be read (%s); write the report in another format, or train it again with bittern run --again", e.ID, err)
	}
	clock, err := newClock(e, steps)
	if err != nil {
		return err
	}
	if err := folder.MkdirAll(name, 0o755); err != nil {
		return err
	}
	// TensorBoard knows an event file by "tfevents" in its name.
	file, err := folder.Create(path.Join(name, fmt.Sprintf("events.out.tfevents.%010d.bittern", int64(clock.start))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	if err := event.Write(out, &event.Event{WallTime: clock.start, What: &event.Event_FileVersion{FileVersion: event.Version}}); err != nil {
		return err
	}
	run := curves{out: out, about: map[string]string{
		"train/loss": "mean loss over the targets of a training step, in nats", "train/gradient_norm": "norm of the gradient before it is clipped", "train/learning_rate": "learning rate of the step",
		"validation/deployable": e.Metric + " of the deployable form, which selects the network", "validation/paper_style": e.Metric + " with batch statistics and weights drawn anew for each batch",
	}}
	validations := e.Validations
	validated := func(done uint64) error {
		for len(validations) > 0 && validations[0].Step <= done {
			v := validations[0]
			points := []point{{"validation/deployable", v.Deployable}}
			if v.PaperStyle != nil {
				points = append(points, point{"validation/paper_style", *v.PaperStyle})
			}
			if err := run.write(clock.at(v.Step), v.Step, points...); err != nil {
				return err
			}
			validations = validations[1:]
		}
		return nil
	}
	for _, step := range steps {
		done := step.Step + 1
		if err := run.write(clock.at(done), done, point{"train/loss", step.Loss}, point{"train/gradient_norm", step.GradNorm}, point{"train/learning_rate", step.LearningRate}); err != nil {
			return err
		}
		if err := validated(done); err != nil {
			return err
		}
	}
	if err := validated(math.MaxUint64); err != nil { // of steps that are not recorded
		return err
	}
	return out.Flush()
}

type point struct {
	tag   string
	value float64
}

// curves writes points. about says what is shown of each tag; its first point carries it.
type curves struct {
	out   *bufio.Writer
	about map[string]string
}

func (c curves) write(wall float64, step uint64, points ...point) error {
	summary := &event.Summary{}
	for _, p := range points {
		value := &event.Value{Tag: p.tag, SimpleValue: proto.Float32(float32(p.value))}
		if about, first := c.about[p.tag]; first {
			value.Metadata = &event.Metadata{SummaryDescription: table.Text(about)}
			delete(c.about, p.tag)
		}
		summary.Value = append(summary.Value, value)
	}
	return event.Write(c.out, &event.Event{WallTime: wall, Step: int64(step), What: &event.Event_Summary{Summary: summary}})
}

// clock has the Unix times of an experiment in seconds.
type clock struct {
	start float64
	after map[uint64]float64 // so many training steps
}

// at is the time when so many training steps were done; the start where their seconds
// are not stored.
func (c clock) at(done uint64) float64 {
	if now, known := c.after[done]; known {
		return now
	}
	return c.start
}

// newClock adds the seconds of the steps to when their sitting started. Validations and
// checkpoints between them take time too, which is not stored. Times never run backwards:
// TensorBoard takes that for a restart.
func newClock(e *reports.Experiment, steps []store.Step) (clock, error) {
	var made provenance.Experiment
	if err := json.Unmarshal(e.Provenance, &made); err != nil {
		return clock{}, fmt.Errorf("the provenance of experiment %s: %w", e.ID, err)
	}
	c := clock{start: unix(e.StartedAt), after: make(map[uint64]float64, len(steps))}
	now := c.start
	for _, step := range steps {
		for _, s := range made.Sittings {
			if s.From == step.Step {
				now = max(now, unix(s.Started))
			}
		}
		now += step.Seconds
		c.after[step.Step+1] = now
	}
	return c, nil
}

// unix is a time in seconds; 0 where it was not stored.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}
