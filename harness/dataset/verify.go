package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bittern/plugins"
)

// State is the outcome of [Verify] for a data set.
type State string

// The states.
const (
	Right     State = "ok"         // every file is there and has its checksum
	Differs   State = "differs"    // a file has another content
	Partly    State = "incomplete" // files are missing; the others are right
	Absent    State = "absent"     // no file is there
	Unchecked State = "unchecked"  // the files are there, but no checksum of theirs is published
)

// Verified is the result for one data set.
type Verified struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Files int    `json:"files"` // that were read
	Of    int    `json:"of"`    // that there are

	// Problems are sentences about the files that differ, and Missing the paths
	// of those that are not there.
	Problems []string `json:"problems,omitempty"`
	Missing  []string `json:"missing,omitempty"`
}

// Verify reads every file in the data directory that belongs to a data set and
// compares it with its checksum.
func Verify(ctx context.Context, dataDir string) ([]Verified, error) {
	if dataDir == "" {
		return nil, plugins.Problemf("name the folder of the data sets with --data")
	}
	if info, err := os.Stat(dataDir); err != nil || !info.IsDir() {
		if err == nil {
			err = errors.New("it is no folder")
		}
		return nil, plugins.Problemf("the folder %s cannot be read (%s); name the one of the data sets with --data", dataDir, reason(err))
	}
	var all []Verified
	for _, e := range registry() {
		set := e.describe()
		v := Verified{Name: set.Name, Of: len(set.Sources)}
		switch {
		case len(set.Sources) > 0:
			if err := set.verify(ctx, dataDir, &v); err != nil {
				return nil, err
			}
		case set.Status == Published: // in folders, without checksums
			if err := verifyFolders(ctx, e, &v, dataDir); err != nil {
				return nil, err
			}
		default:
			continue
		}
		all = append(all, v)
	}
	return all, nil
}

func (s Set) verify(ctx context.Context, dataDir string, v *Verified) error {
	for _, source := range s.Sources {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, path, err := s.read(dataDir, source)
		switch {
		case err == nil:
			v.Files++
		case path == "" && s.absent(dataDir, source):
			v.Missing = append(v.Missing, expected(dataDir, source))
		default:
			v.Files++
			v.Problems = append(v.Problems, err.Error())
		}
	}
	v.State = Right
	switch {
	case len(v.Problems) > 0:
		v.State = Differs
	case v.Files == 0:
		v.State = Absent
	case len(v.Missing) > 0:
		v.State = Partly
	}
	return nil
}

// absent reports whether neither form of a source exists.
func (s Set) absent(dataDir string, source Source) bool {
	for _, suffix := range []string{"", ".gz"} {
		path := expected(dataDir, Source{Path: source.Path})
		if _, err := os.Stat(path[:len(path)-len(".gz")] + suffix); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// verifyFolders counts the questions of cnn-qa.
func verifyFolders(ctx context.Context, e entry, v *Verified, dataDir string) error {
	v.Of = len(questionParts)
	folders, _ := e.locate(ctx, dataDir) // what is missing is listed one by one below
	for i, folder := range folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			v.Missing = append(v.Missing, folder)
			continue
		}
		v.Files++
		files, err := questionFiles(folder)
		if want := e.describe().Parts[i]; err == nil && len(files) != want {
			err = fmt.Errorf("%s holds %d questions, but %d were published", folder, len(files), want)
		}
		if err != nil {
			v.Problems = append(v.Problems, err.Error())
		}
	}
	v.State = Unchecked
	switch {
	case len(v.Problems) > 0:
		v.State = Differs
	case v.Files == 0:
		v.State = Absent
	case len(v.Missing) > 0:
		v.State = Partly
	}
	return nil
}
