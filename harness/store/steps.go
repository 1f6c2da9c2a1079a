package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

// Step is the record of one training step.
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

// Validation holds the scores of one validation.
type Validation struct {
	Step       uint64  `json:"step"`       // training steps done before it
	Deployable float64 `json:"deployable"` // frozen statistics, one draw; this score selects the network

	// PaperStyle is with batch statistics and fresh draws; nil if the suite does not ask for it.
	PaperStyle *float64 `json:"paper_style,omitempty"`
}

// Check refuses a step with a figure that is not finite.
func (s Step) Check() error {
	for _, figure := range []float64{s.Loss, s.GradNorm, s.LearningRate, s.Seconds} {
		if math.IsNaN(figure) || math.IsInf(figure, 0) {
			return fmt.Errorf("step %d cannot be recorded: %+v is not finite", s.Step, s)
		}
	}
	return nil
}

// Check refuses a validation with a score that is not finite.
func (v Validation) Check() error {
	for _, figure := range []*float64{&v.Deployable, v.PaperStyle} {
		if figure != nil && (math.IsNaN(*figure) || math.IsInf(*figure, 0)) {
			return fmt.Errorf("the validation after step %d cannot be recorded: a score of %v is not finite", v.Step, *figure)
		}
	}
	return nil
}

// clock is one line of the file of seconds.
type clock struct {
	Step    uint64  `json:"step"`
	Seconds float64 `json:"seconds"`
}

const (
	stepsName       = "steps.jsonl"
	secondsName     = "seconds.jsonl"
	validationsName = "validations.jsonl"
)

// line is the type of a line in a file of metrics.
type line interface{ Step | clock | Validation }

// Steps appends to the metrics of an experiment, of its training steps and of its
// validations. Each line is handed to the system at once, so that a killed harness
// loses none.
type Steps struct {
	steps, seconds, validations *os.File

	// lastValidation is where the last line of validations begins, and
	// validated the step it is of.
	lastValidation int64
	validated      uint64
}

// OpenSteps opens the metrics in an experiment's folder, which it makes if it does not
// exist, to be appended to. It drops what came after the checkpoint that training goes on
// from, which has done training steps, 0 to begin afresh: it keeps the steps below number
// done and the validations up to that after step done. If that validation is still due,
// [Steps.AppendValidation] replaces it. An incomplete last line is dropped; if an earlier
// line is damaged, the error is a [*plugins.Problem].
func OpenSteps(experimentDir string, done uint64) (*Steps, error) {
	folder, err := runfolder.Make(experimentDir)
	if err != nil {
		return nil, diskfault.Explain(err, experimentDir)
	}
	defer folder.Close()
	steps, _, err := openLines[Step](folder, stepsName, done)
	if err != nil {
		return nil, err
	}
	seconds, _, err := openLines[clock](folder, secondsName, done)
	if err != nil {
		return nil, errors.Join(err, steps.Close())
	}
	known := done + 1 // the validation after step done is of step done
	if done == 0 {
		known = 0
	}
	validations, kept, err := openLines[Validation](folder, validationsName, known)
	if err != nil {
		return nil, errors.Join(err, steps.Close(), seconds.Close())
	}
	return &Steps{steps: steps, seconds: seconds, validations: validations, lastValidation: kept.last, validated: kept.number}, nil
}

// kept is the part of a file of metrics that stays.
type kept struct {
	end    int64  // of the last line
	last   int64  // where the last line begins
	number uint64 // of the last line
}

func openLines[T line](folder *os.Root, name string, limit uint64) (*os.File, kept, error) {
	path := filepath.Join(folder.Name(), name)
	file, err := runfolder.OpenFile(folder, name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, kept{}, diskfault.Explain(err, path)
	}
	k, err := keep[T](file, limit)
	if err == nil {
		err = file.Truncate(k.end)
	}
	if err == nil {
		_, err = file.Seek(k.end, io.SeekStart)
	}
	if err != nil {
		return nil, kept{}, errors.Join(diskfault.Explain(err, path), file.Close())
	}
	return file, k, nil
}

// keep finds the lines before the first whose number is limit or more.
func keep[T line](file *os.File, limit uint64) (kept, error) {
	if limit == 0 {
		return kept{}, nil
	}
	lines := bufio.NewReader(file)
	var k kept
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return k, nil
		}
		if err != nil {
			return kept{}, err
		}
		_, number, err := parseLine[T](line)
		if err != nil {
			return kept{}, plugins.Problemf("the metrics are damaged at byte %d of %s (%s); run the same command with --again to train the experiment afresh", k.end, file.Name(), err)
		}
		if number >= limit {
			return k, nil
		}
		k.last, k.number = k.end, number
		k.end += int64(len(line))
	}
}

// parseLine reads a line, which must carry a step's number.
func parseLine[T line](line []byte) (value T, number uint64, err error) {
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
	if err := step.Check(); err != nil {
		return err
	}
	if err := appendLine(s.steps, step); err != nil {
		return err
	}
	return appendLine(s.seconds, clock{Step: step.Step, Seconds: step.Seconds})
}

// AppendValidation records a validation. If the last one recorded is of the same step, it
// is replaced: a run that was stopped before its next checkpoint does the validation again.
// A score that is not finite is an error.
func (s *Steps) AppendValidation(v Validation) error {
	if err := v.Check(); err != nil {
		return err
	}
	end, err := s.validations.Seek(0, io.SeekEnd)
	if err != nil {
		return diskfault.Explain(err, s.validations.Name())
	}
	switch {
	case end > 0 && v.Step < s.validated:
		return fmt.Errorf("the validation after step %d cannot be recorded behind that after step %d", v.Step, s.validated)
	case end > 0 && v.Step == s.validated:
		end = s.lastValidation
		if err := s.validations.Truncate(end); err != nil {
			return diskfault.Explain(err, s.validations.Name())
		}
		if _, err := s.validations.Seek(end, io.SeekStart); err != nil {
			return diskfault.Explain(err, s.validations.Name())
		}
	}
	s.lastValidation, s.validated = end, v.Step
	return appendLine(s.validations, v)
}

func appendLine[T line](file *os.File, value T) error {
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name(), err)
	}
	_, err = file.Write(append(line, '\n'))
	return diskfault.Explain(err, file.Name())
}

// Sync waits until what was appended is on disk. Call it before a checkpoint is
// saved, so that no power cut leaves a checkpoint ahead of its metrics.
func (s *Steps) Sync() error { return s.each((*os.File).Sync) }

// Close closes the files.
func (s *Steps) Close() error { return s.each((*os.File).Close) }

func (s *Steps) each(do func(*os.File) error) error {
	var errs []error
	for _, file := range []*os.File{s.steps, s.seconds, s.validations} {
		errs = append(errs, diskfault.Explain(do(file), file.Name()))
	}
	return errors.Join(errs...)
}

// ReadSteps reads the metrics of training steps in an experiment's folder; none if there
// are none. An incomplete last line, of a run that is under way, is left out.
func ReadSteps(experimentDir string) ([]Step, error) {
	steps, _, err := new(StepFollower).Read(experimentDir)
	return steps, err
}

// ReadValidations reads the validations in an experiment's folder in the order of their
// steps; none if there are none. An incomplete last line is left out.
func ReadValidations(experimentDir string) ([]Validation, error) {
	folder, err := runfolder.Open(experimentDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer folder.Close()
	validations, _, err := follow[Validation](new(tail), folder, validationsName)
	return validations, err
}
