package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

// Step is what is recorded of one training step.
type Step struct {
	Step         uint64  `json:"step"` // from 0, as in model.Step
	Epoch        int     `json:"epoch"`
	Loss         float64 `json:"loss"` // mean over all targets, nats
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`

	// Seconds is kept in a file of its own, so that the file of the rest is the
	// same, byte for byte, in every run with the same seed.
	Seconds float64 `json:"-"`
}

// clock is one line of the file of seconds.
type clock struct {
	Step    uint64  `json:"step"`
	Seconds float64 `json:"seconds"`
}

const (
	stepsName   = "steps.jsonl"
	secondsName = "seconds.jsonl"
)

// Steps appends to the step metrics of an experiment. Each line is handed to the system
// at once, so that a killed harness loses none.
type Steps struct {
	steps, seconds *os.File
}

// OpenSteps opens the step metrics in an experiment's folder, which is made where it
// does not exist, and drops every line from step number done on: done is the
// number of steps in the checkpoint that training goes on from, 0 to begin afresh.
// A torn last line is dropped too; a line before that is damaged is a
// [*plugins.Problem].
func OpenSteps(experimentDir string, done uint64) (*Steps, error) {
	if err := os.MkdirAll(experimentDir, 0o755); err != nil {
		return nil, diskfault.Explain(err, experimentDir)
	}
	steps, err := openLines[Step](filepath.Join(experimentDir, stepsName), done)
	if err != nil {
		return nil, err
	}
	seconds, err := openLines[clock](filepath.Join(experimentDir, secondsName), done)
	if err != nil {
		return nil, errors.Join(err, steps.Close())
	}
	return &Steps{steps: steps, seconds: seconds}, nil
}

func openLines[T Step | clock](path string, done uint64) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, diskfault.Explain(err, path)
	}
	end, err := endOf[T](file, done)
	if err == nil {
		err = file.Truncate(end)
	}
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(diskfault.Explain(err, path), file.Close())
	}
	return file, nil
}

// endOf returns where the lines of the first done steps end.
func endOf[T Step | clock](file *os.File, done uint64) (int64, error) {
	if done == 0 {
		return 0, nil
	}
	lines := bufio.NewReader(file)
	var end int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return 0, err
		}
		_, number, err := parseLine[T](line)
		if err != nil {
			return 0, plugins.Problemf("the step metrics are damaged at byte %d of %s (%s); remove the folder to train the experiment afresh", end, file.Name(), err)
		}
		if number >= done {
			return end, nil
		}
		end += int64(len(line))
	}
}

// parseLine reads a line, which must carry a step's number.
func parseLine[T Step | clock](line []byte) (value T, number uint64, err error) {
	var numbered struct{ Step *uint64 }
	if err := json.Unmarshal(line, &value); err != nil {
		return value, 0, err
	}
	if err := json.Unmarshal(line, &numbered); err != nil {
		return value, 0, err
	}
	if numbered.Step == nil {
		return value, 0, errors.New("it names no step")
	}
	return value, *numbered.Step, nil
}

// Append records a step. A loss or norm that is not finite is an error: such a
// experiment has failed, and the reason belongs in its row.
func (s *Steps) Append(step Step) error {
	for _, figure := range []float64{step.Loss, step.GradNorm, step.LearningRate, step.Seconds} {
		if math.IsNaN(figure) || math.IsInf(figure, 0) {
			return fmt.Errorf("step %d cannot be recorded: %+v is not finite", step.Step, step)
		}
	}
	if err := appendLine(s.steps, step); err != nil {
		return err
	}
	return appendLine(s.seconds, clock{Step: step.Step, Seconds: step.Seconds})
}

func appendLine[T Step | clock](file *os.File, value T) error {
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	_, err = file.Write(append(line, '\n'))
	return diskfault.Explain(err, file.Name())
}

// Sync waits until what was appended is on disk. Call it before a checkpoint is
// saved, so that no power cut leaves a checkpoint ahead of its metrics.
func (s *Steps) Sync() error {
	return errors.Join(
		diskfault.Explain(s.steps.Sync(), s.steps.Name()),
		diskfault.Explain(s.seconds.Sync(), s.seconds.Name()))
}

// Close closes the files.
func (s *Steps) Close() error {
	return errors.Join(
		diskfault.Explain(s.steps.Close(), s.steps.Name()),
		diskfault.Explain(s.seconds.Close(), s.seconds.Name()))
}

// ReadSteps reads the step metrics in an experiment's folder. An experiment that recorded none
// has none; the torn last line of a run under way is left out.
func ReadSteps(experimentDir string) ([]Step, error) {
	list, err := readLines[Step](filepath.Join(experimentDir, stepsName))
	if err != nil {
		return nil, err
	}
	clocks, err := readLines[clock](filepath.Join(experimentDir, secondsName))
	if err != nil {
		return nil, err
	}
	seconds := make(map[uint64]float64, len(clocks))
	for _, c := range clocks {
		seconds[c.Step] = c.Seconds
	}
	for i, step := range list {
		list[i].Seconds = seconds[step.Step]
	}
	return list, nil
}

func readLines[T Step | clock](path string) ([]T, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("step metrics: %w", err)
	}
	var list []T
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		value, _, err := parseLine[T](line)
		if err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", len(list)+1, path, err)
		}
		list = append(list, value)
	}
	return list, nil
}
