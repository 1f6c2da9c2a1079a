// Package checkpoint keeps the state of an experiment's training on disk, to go on from
// after an interruption, and has the format of tensors that deployed networks use too.
//
// A checkpoint is a folder with two files: the tensors in the safetensors format
// under a name made of their checksum, and checkpoint.json, which names them. The
// second is replaced atomically once the first is safe on disk, so at every
// moment the folder holds one complete checkpoint: the new one or the one before.
// checkpoint.json carries a checksum of itself, so that no flipped bit of either file
// passes. Symbolic links are refused, see package runfolder.
package checkpoint

import (
	"bytes"
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

	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/pace"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

// Format is the version of the layout that this program writes, and the only one that
// it reads.
const Format = 2

// ErrNone says that a folder holds no checkpoint.
var ErrNone = errors.New("there is no checkpoint")

// Manifest says which experiment a checkpoint belongs to, and how far it had come.
type Manifest struct {
	// Experiment is the ID of the experiment: the checksum of all that determines its
	// numbers. A checkpoint is never loaded into another experiment.
	Experiment string `json:"experiment"`

	Step           uint64   `json:"step"`                      // training steps done
	Epoch          int      `json:"epoch"`                     // epochs done
	BestValidation *float64 `json:"best_validation,omitempty"` // nil before the first validation

	// State holds whatever else the training loop has to remember.
	State json.RawMessage `json:"state,omitempty"`
}

// document is checkpoint.json.
type document struct {
	Format int `json:"format"`
	Manifest
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // of File

	// Checksum is the SHA-256 of this document with an empty Checksum.
	Checksum string `json:"checksum"`
}

// render writes the document with its checksum, always the same bytes.
func (d document) render() ([]byte, error) {
	d.Checksum = ""
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(text)
	d.Checksum = hex.EncodeToString(digest[:])
	text, err = json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

const (
	manifestName = "checkpoint.json"
	tensorPrefix = "tensors-"
	tensorSuffix = ".safetensors"
)

// Save replaces the checkpoint in dir, which is made where it does not exist.
// The checkpoint before stays valid until the new one is complete. A full disk
// and a folder that cannot be written are each a [*plugins.Problem]. A folder is
// for one writer at a time, and may be read while it is written. The tensors must not
// change until Save returns. Work goes on at the given pace, nil for as fast as it can.
func Save(dir string, manifest Manifest, tensors []Tensor, p *pace.Pace) error {
	hash := sha256.New()
	if err := WriteTensors(p.Writer(hash), tensors, nil); err != nil {
		return fmt.Errorf("checkpoint of experiment %s: %w", manifest.Experiment, err)
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	doc := document{Format: Format, Manifest: manifest, File: tensorPrefix + digest[:16] + tensorSuffix, SHA256: digest}
	text, err := doc.render()
	if err != nil {
		return fmt.Errorf("checkpoint of experiment %s: %w", manifest.Experiment, err)
	}
	return diskfault.Explain(replace(dir, doc.File, tensors, text, p), dir)
}

func replace(dir, name string, tensors []Tensor, manifest []byte, p *pace.Pace) error {
	folder, err := runfolder.Make(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := runfolder.Replace(folder, name, func(w io.Writer) error { return WriteTensors(p.Writer(w), tensors, nil) }); err != nil {
		return err
	}
	// The manifest must not reach the disk before the name it mentions.
	if err := runfolder.Sync(folder); err != nil {
		return err
	}
	if err := runfolder.Replace(folder, manifestName, func(w io.Writer) error { _, err := w.Write(manifest); return err }); err != nil {
		return err
	}
	if err := runfolder.Sync(folder); err != nil {
		return err
	}
	return removeStale(folder, name)
}

// removeStale removes older tensors and what a killed Save left half written.
func removeStale(folder *os.Root, current string) error {
	if err := runfolder.Sweep(folder, tensorPrefix, manifestName); err != nil {
		return err
	}
	return runfolder.RemoveIf(folder, func(name string) bool { return isTensorFile(name) && name != current })
}

func isTensorFile(name string) bool {
	return strings.HasPrefix(name, tensorPrefix) && strings.HasSuffix(name, tensorSuffix)
}

// Load fills the tensors, whose names, shapes and types must be those saved, from
// the checkpoint in dir. The error is [ErrNone] if there is none, and a
// [*plugins.Problem] if it cannot be read, is damaged, belongs to another experiment or
// has a newer format. The tensors are then left unchanged.
func Load(dir, experiment string, tensors []Tensor) (Manifest, error) {
	wanted, err := named(tensors)
	if err != nil {
		return Manifest{}, err
	}
	var manifest Manifest
	err = open(dir, experiment, func(doc document, file *os.File, size int64) error {
		found, err := readHeader(file, size)
		if err != nil {
			return refuse(dir, "is damaged", err)
		}
		if err := found.match(wanted); err != nil {
			return refuse(dir, "does not fit the experiment", err)
		}
		if err := found.read(file, wanted); err != nil {
			return fmt.Errorf("read the checkpoint in %s: %w", dir, err)
		}
		manifest = doc.Manifest
		return nil
	})
	return manifest, err
}

// Read is [Load] of whatever tensors the checkpoint has, in the order of their names.
func Read(dir, experiment string) (manifest Manifest, tensors []Tensor, err error) {
	err = open(dir, experiment, func(doc document, file *os.File, size int64) (err error) {
		if tensors, err = ReadTensors(file, size); err != nil {
			return refuse(dir, "is damaged", err)
		}
		manifest = doc.Manifest
		return nil
	})
	return manifest, tensors, err
}

// open calls read with the checkpoint in dir, whose tensors have the checksum that is noted.
func open(dir, experiment string, read func(doc document, file *os.File, size int64) error) error {
	folder, err := runfolder.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return refuse(dir, "cannot be read", err)
	}
	defer folder.Close()
	doc, file, err := openTensors(dir, experiment, folder)
	if err != nil {
		return err
	}
	defer file.Close()
	size, digest, err := digestOf(file)
	if err != nil {
		return refuse(dir, "cannot be read", err)
	}
	if digest != doc.SHA256 {
		return refuse(dir, "is damaged", fmt.Errorf("%s has SHA-256 %s instead of %s", doc.File, digest, doc.SHA256))
	}
	return read(doc, file, size)
}

// openTensors opens the file of tensors that the manifest in folder, which is dir, names. A
// Save that ends between the two replaces the manifest and removes the file: then the
// manifest is read anew.
func openTensors(dir, experiment string, folder *os.Root) (document, *os.File, error) {
	for gone := ""; ; {
		doc, err := readManifest(dir, experiment, folder)
		if err != nil {
			return document{}, nil, err
		}
		file, err := runfolder.OpenFile(folder, doc.File, os.O_RDONLY)
		if err == nil {
			return doc, file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || doc.File == gone {
			return document{}, nil, refuse(dir, "cannot be read", err)
		}
		gone = doc.File
	}
}

// readManifest returns the manifest in folder, which is dir, if it belongs to the experiment.
func readManifest(dir, experiment string, folder *os.Root) (document, error) {
	text, err := runfolder.ReadFile(folder, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return document{}, ErrNone
	}
	if err != nil {
		return document{}, refuse(dir, "cannot be read", err)
	}
	doc, err := parse(text)
	if err != nil {
		return document{}, refuse(dir, "is damaged", err)
	}
	if doc.Format > Format {
		return document{}, plugins.Problemf("the checkpoint in %s has format %d, and this program reads %d; use a newer bittern, or run the same command with --again to train the experiment afresh", dir, doc.Format, Format)
	}
	if doc.Format < Format {
		return document{}, plugins.Problemf("the checkpoint in %s has format %d of an older bittern, and this program reads %d; run the same command with --again to train the experiment afresh", dir, doc.Format, Format)
	}
	if doc.Experiment != experiment {
		return document{}, plugins.Problemf("the checkpoint in %s belongs to experiment %s and not to %s; remove the folder, or name another with --runs", dir, doc.Experiment, experiment)
	}
	return doc, nil
}

// Sweep removes the half-written files that killed calls of [Save] left in dir, and the folder
// itself if nothing else is in it. If there is no folder, it does nothing.
func Sweep(dir string) error {
	folder, err := runfolder.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskfault.Explain(err, dir)
	}
	defer folder.Close()
	text, err := runfolder.ReadFile(folder, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return Remove(dir) // no Save has come to its end
	}
	if err != nil {
		return diskfault.Explain(err, dir)
	}
	doc, err := parse(text)
	if err != nil {
		return nil // Load says what is wrong with it, and a person may want to look at it
	}
	return diskfault.Explain(removeStale(folder, doc.File), dir)
}

// Remove deletes the checkpoint in dir and the folder, if it holds nothing else.
// It is no error if there is none. If a link takes the folder's place, the link is removed.
func Remove(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return diskfault.Explain(os.Remove(dir), dir)
	}
	folder, err := runfolder.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskfault.Explain(err, dir)
	}
	defer folder.Close()
	err = folder.Remove(manifestName)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = removeStale(folder, "")
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
	return plugins.Problemf("the checkpoint in %s %s (%s); run the same command with --again to train the experiment afresh", dir, what, reason)
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
	if doc.Format != Format {
		return doc, nil // nothing else is known of it
	}
	if !isTensorFile(doc.File) || doc.File != filepath.Base(doc.File) {
		return document{}, fmt.Errorf("%s names %q as its tensor file", manifestName, doc.File)
	}
	// Written again it is the same bytes: there is one way to write a document, so
	// whatever differs in the file is damage.
	if again, err := doc.render(); err != nil || !bytes.Equal(again, text) {
		return document{}, fmt.Errorf("%s does not have the checksum that it names", manifestName)
	}
	return doc, nil
}

func digestOf(file *os.File) (size int64, digest string, err error) {
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}
