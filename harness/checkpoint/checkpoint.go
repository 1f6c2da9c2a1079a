// Package checkpoint keeps the tensors of an experiment on disk: the state of its
// training, to go on from after an interruption, and the deployed network.
//
// A checkpoint is a folder with two files: the tensors in the safetensors format
// under a name made of their checksum, and checkpoint.json, which names them. The
// second is replaced atomically once the first is safe on disk, so at every
// moment the folder holds one complete checkpoint: the new one or the one before.
package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

// Format is the version of the layout that this program writes, and the newest
// that it reads.
const Format = 1

// ErrNone says that a folder holds no checkpoint.
var ErrNone = errors.New("there is no checkpoint")

// Manifest says what a checkpoint is of.
type Manifest struct {
	// Experiment is the ID of the experiment: the checksum of all that determines its
	// numbers. A checkpoint is never loaded into another experiment.
	Experiment string `json:"experiment"`

	Step           uint64   `json:"step"`                      // training steps done
	Epoch          int      `json:"epoch"`                     // epochs done
	BestValidation *float64 `json:"best_validation,omitempty"` // nil before the first validation

	// State is what else the training loop has to remember.
	State json.RawMessage `json:"state,omitempty"`
}

// document is checkpoint.json.
type document struct {
	Format int `json:"format"`
	Manifest
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

const (
	manifestName = "checkpoint.json"
	tensorPrefix = "tensors-"
	tensorSuffix = ".safetensors"
)

// Save replaces the checkpoint in dir, which is made where it does not exist.
// The checkpoint before stays valid until the new one is complete. A full disk
// and a folder that cannot be written are each a [*plugins.Problem]. A folder is
// for one writer at a time.
func Save(dir string, manifest Manifest, tensors []Tensor) error {
	hash := sha256.New()
	if err := WriteTensors(hash, tensors); err != nil {
		return fmt.Errorf("checkpoint of experiment %s: %w", manifest.Experiment, err)
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	doc := document{Format: Format, Manifest: manifest, File: tensorPrefix + digest[:16] + tensorSuffix, SHA256: digest}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("checkpoint of experiment %s: %w", manifest.Experiment, err)
	}
	return diskfault.Explain(replace(dir, doc.File, tensors, append(text, '\n')), dir)
}

func replace(dir, name string, tensors []Tensor, manifest []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, name), tensors); err != nil {
		return err
	}
	// The manifest must not reach the disk before the name it mentions.
	if err := syncFolder(dir); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, manifestName), manifest, 0o644, renameio.WithTempDir(dir)); err != nil {
		return err
	}
	if err := syncFolder(dir); err != nil {
		return err
	}
	return removeStale(dir, name)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// removeStale removes older tensors and what a killed Save left half written.
func removeStale(dir, current string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		partial := strings.HasPrefix(name, "."+tensorPrefix) || strings.HasPrefix(name, "."+manifestName)
		older := isTensorFile(name) && name != current
		if partial || older {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func isTensorFile(name string) bool {
	return strings.HasPrefix(name, tensorPrefix) && strings.HasSuffix(name, tensorSuffix)
}

// Load fills the tensors, whose names, shapes and types must be those saved, from
// the checkpoint in dir. The error is [ErrNone] where there is none, and a
// [*plugins.Problem] where it is unreadable, damaged, of another experiment or of a
// newer format; the tensors are then untouched.
func Load(dir, experiment string, tensors []Tensor) (Manifest, error) {
	wanted, err := named(tensors)
	if err != nil {
		return Manifest{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, ErrNone
	}
	if err != nil {
		return Manifest{}, refuse(dir, "cannot be read", err)
	}
	doc, err := parse(text)
	if err != nil {
		return Manifest{}, refuse(dir, "is damaged", err)
	}
	if doc.Format > Format {
		return Manifest{}, plugins.Problemf("the checkpoint in %s has format %d, and this program reads up to %d; use a newer bittern, or remove the folder to train the experiment afresh", dir, doc.Format, Format)
	}
	if doc.Experiment != experiment {
		return Manifest{}, plugins.Problemf("the checkpoint in %s belongs to experiment %s and not to %s; remove the folder, or name another with --runs", dir, doc.Experiment, experiment)
	}
	file, err := os.Open(filepath.Join(dir, doc.File))
	if err != nil {
		return Manifest{}, refuse(dir, "cannot be read", err)
	}
	defer file.Close()
	size, digest, err := digestOf(file)
	if err != nil {
		return Manifest{}, refuse(dir, "cannot be read", err)
	}
	if digest != doc.SHA256 {
		return Manifest{}, refuse(dir, "is damaged", fmt.Errorf("%s has SHA-256 %s instead of %s", doc.File, digest, doc.SHA256))
	}
	found, err := readHeader(file, size)
	if err != nil {
		return Manifest{}, refuse(dir, "is damaged", err)
	}
	if err := found.match(wanted); err != nil {
		return Manifest{}, refuse(dir, "does not fit the experiment", err)
	}
	if err := found.read(file, wanted); err != nil {
		return Manifest{}, fmt.Errorf("read the checkpoint in %s: %w", dir, err)
	}
	return doc.Manifest, nil
}

// Remove deletes the checkpoint in dir and the folder, if it holds nothing else.
// That there is none is no error.
func Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = removeStale(dir, "")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no folder either
	}
	if err != nil {
		return diskfault.Explain(err, dir)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrExist) { // not empty
		return diskfault.Explain(err, dir)
	}
	return nil
}

func refuse(dir, what string, reason error) error {
	return plugins.Problemf("the checkpoint in %s %s (%s); remove the folder to train the experiment afresh", dir, what, reason)
}

// parse reads checkpoint.json.
func parse(text []byte) (document, error) {
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return document{}, fmt.Errorf("%s: %w", manifestName, err)
	}
	if doc.Format < 1 {
		return document{}, fmt.Errorf("%s names no format", manifestName)
	}
	if doc.Format <= Format && (!isTensorFile(doc.File) || doc.File != filepath.Base(doc.File)) {
		return document{}, fmt.Errorf("%s names %q as its tensor file", manifestName, doc.File)
	}
	return doc, nil
}

func digestOf(file *os.File) (size int64, digest string, err error) {
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}
