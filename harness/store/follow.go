package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"bittern/harness/internal/runfolder"
)

// StepFollower reads the training steps of an experiment while another process appends
// them, each step once. The zero value begins at the first step.
type StepFollower struct {
	steps, seconds tail
}

// Read returns the steps that were appended since the last call. afresh says that they
// begin again with the first one, since the file was cut or replaced: the experiment went
// on from a checkpoint, or is trained anew. An experiment that recorded none has none.
// The Seconds of a step are 0 where they are not written yet.
func (f *StepFollower) Read(experimentDir string) (steps []Step, afresh bool, err error) {
	folder, err := runfolder.Open(experimentDir)
	if errors.Is(err, fs.ErrNotExist) {
		afresh = f.steps.at > 0
		*f = StepFollower{}
		return nil, afresh, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("metrics: %w", err)
	}
	defer folder.Close()
	steps, afresh, err = follow[Step](&f.steps, folder, stepsName)
	if err != nil {
		return nil, false, err
	}
	if afresh {
		f.seconds = tail{}
	}
	// A step is written before its seconds, so the last ones may not be there yet.
	clocks, _, err := follow[clock](&f.seconds, folder, secondsName)
	if err != nil {
		return nil, false, err
	}
	seconds := make(map[uint64]float64, len(clocks))
	for _, c := range clocks {
		seconds[c.Step] = c.Seconds
	}
	for i, step := range steps {
		steps[i].Seconds = seconds[step.Step]
	}
	return steps, afresh, nil
}

// Written is when the last step was appended; zero before the first.
func (f *StepFollower) Written() time.Time {
	if f.steps.file == nil {
		return time.Time{}
	}
	return f.steps.file.ModTime()
}

// tail is how far a file that grows was read.
type tail struct {
	file os.FileInfo // that was read
	at   int64       // where the next line begins
}

// follow reads the whole lines of a file behind those that were read before.
func follow[T line](t *tail, folder *os.Root, name string) (list []T, afresh bool, err error) {
	file, err := runfolder.OpenFile(folder, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		afresh = t.at > 0
		*t = tail{}
		return nil, afresh, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("metrics: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("metrics: %w", err)
	}
	if t.at > 0 && (!os.SameFile(info, t.file) || info.Size() < t.at) {
		afresh, t.at = true, 0
	}
	t.file = info
	if _, err := file.Seek(t.at, io.SeekStart); err != nil {
		return nil, false, fmt.Errorf("metrics: %w", err)
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return list, afresh, nil // what is left is a line that is being written
		}
		if err != nil {
			return nil, false, fmt.Errorf("metrics: %w", err)
		}
		value, _, err := parseLine[T](line)
		if err != nil {
			return nil, false, fmt.Errorf("metrics: byte %d of %s: %w", t.at, file.Name(), err)
		}
		list = append(list, value)
		t.at += int64(len(line))
	}
}
