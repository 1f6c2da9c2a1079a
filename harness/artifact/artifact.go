// Package artifact keeps deployed networks on disk: all that a machine needs to
// run one, and nothing else.
//
// An artifact is a folder of two files. program.json has the network's program, the step
// graphs of its stages and the layout of its weights; deployed.safetensors holds every number
// of it:
//
//	weight/NAME/codes/PLANE    U8  [rows, bytes of a packed row]   see package packed
//	weight/NAME/levels/PLANE   F32 [levels]
//	weight/NAME/scales/PLANE   F32 [1], or [rows] for a scale per row
//	weight/NAME/values         F32 [rows, cols]   in place of all three at full precision
//	table/STAGE/NODE/scale     F32 [time steps, size]   normalization, biases
//	table/STAGE/NODE/shift     F32 [time steps, size]
//	state/STAGE/NAME           F32 [size]   value before the first step
//
// PLANE counts the planes of codes of a weight from 0. In STAGE, NODE and the NAME of a state
// "/" stands as "%2F" and "%" as "%25", so that no two tensors have one name.
//
// program.json names the checksum of deployed.safetensors, and the checksum of program.json
// is the artifact's, which the row of its experiment names: no flipped bit passes.
package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"bittern/harness/checkpoint"
	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Network is a deployed network: its program and the weights that the program names.
type Network struct {
	Program network.Network
	Weights map[string]packed.Matrix
}

const (
	programName = "program.json"
	tensorsName = "deployed.safetensors"
)

// format is the version of an artifact's layout. Version 1 had one step graph and no version
// number, version 2 one codebook for a weight in place of planes, and version 3 graph.json in
// place of program.json.
const format = 4

// document is program.json: the network without its numbers.
type document struct {
	Format  int             `json:"format"`
	Network network.Network `json:"network"`
	Weights []layout        `json:"weights"`
	SHA256  string          `json:"sha256"` // of deployed.safetensors
}

type layout struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	Cols int    `json:"cols"`
	Bits []int  `json:"bits,omitempty"` // of a code of each plane; none at full precision
}

// Folder is where an experiment keeps its artifact, in its folder of the run store.
func Folder(experimentDir string) string { return filepath.Join(experimentDir, "deployed") }

// Bytes returns the size of the deployed network: its codes with their padding, levels and
// scales, tables and initial states.
func (n Network) Bytes() int64 {
	total := 0
	for _, stage := range n.Program.Stages {
		total += stage.Graph.TableBytes() + stage.Graph.StateBytes()
	}
	for _, m := range n.Weights {
		total += m.CodeBytes() + m.LevelBytes()
	}
	return int64(total)
}

// Encode writes deployed.safetensors of the network, and returns program.json and the
// artifact's checksum.
func Encode(tensors io.Writer, n Network) (program []byte, checksum string, err error) {
	if err := n.Program.Validate(n.Weights); err != nil {
		return nil, "", err
	}
	doc := document{Format: format, Network: n.Outline()}
	for _, name := range slices.Sorted(maps.Keys(n.Weights)) {
		m := n.Weights[name]
		l := layout{Name: name, Rows: m.Rows, Cols: m.Cols}
		for _, p := range m.Planes {
			l.Bits = append(l.Bits, p.Bits)
		}
		doc.Weights = append(doc.Weights, l)
	}
	hash := sha256.New()
	if err := checkpoint.WriteTensors(io.MultiWriter(tensors, hash), n.Tensors(PackedCodes), nil); err != nil {
		return nil, "", err
	}
	doc.SHA256 = hex.EncodeToString(hash.Sum(nil))
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, "", err
	}
	text = append(text, '\n')
	return text, digest(text), nil
}

// Write saves the network in the folder at path, which is made where it does not exist,
// and returns the artifact's checksum, by which it is read.
func Write(path string, n Network) (checksum string, err error) {
	if err := n.Program.Validate(n.Weights); err != nil {
		return "", err
	}
	folder, err := runfolder.Make(path)
	if err != nil {
		return "", diskfault.Explain(err, path)
	}
	defer folder.Close()
	if err := runfolder.Sweep(folder, tensorsName, programName); err != nil {
		return "", diskfault.Explain(err, path)
	}
	var program []byte
	if err := runfolder.Replace(folder, tensorsName, func(w io.Writer) (err error) {
		program, checksum, err = Encode(w, n)
		return err
	}); err != nil {
		return "", diskfault.Explain(err, filepath.Join(path, tensorsName))
	}
	if err := runfolder.Replace(folder, programName, func(w io.Writer) error { _, err := w.Write(program); return err }); err != nil {
		return "", diskfault.Explain(err, filepath.Join(path, programName))
	}
	return checksum, diskfault.Explain(runfolder.Sync(folder), path)
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Sweep removes the half-written files that a killed [Write] left in the folder at path. If
// there is no folder, it does nothing. No other process may be writing to the folder.
func Sweep(path string) error {
	folder, err := runfolder.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskfault.Explain(err, path)
	}
	defer folder.Close()
	return diskfault.Explain(runfolder.Sweep(folder, tensorsName, programName), path)
}

// Remove deletes the artifact at path. It is no error if there is none. If a link takes its
// place, the link is removed, not its target.
func Remove(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode()&fs.ModeSymlink == 0 {
		var folder *os.Root
		if folder, err = runfolder.Open(path); err == nil {
			err = errors.Join(runfolder.Sweep(folder, tensorsName, programName),
				runfolder.RemoveIf(folder, func(name string) bool { return name == tensorsName || name == programName }),
				folder.Close())
		}
	}
	if err == nil {
		if err = os.Remove(path); errors.Is(err, fs.ErrExist) { // not empty: the rest is somebody else's
			err = nil
		}
	}
	return diskfault.Explain(err, path)
}

// Read loads the network with the given checksum from the folder at path. What is
// missing or damaged there is a *plugins.Problem.
func Read(path, checksum string) (Network, error) {
	folder, err := runfolder.Open(path)
	if err != nil {
		return Network{}, damaged(path, err)
	}
	defer folder.Close()
	text, err := runfolder.ReadFile(folder, programName)
	if err != nil {
		return Network{}, damaged(path, err)
	}
	n, err := Decode(text, func() ([]byte, error) { return runfolder.ReadFile(folder, tensorsName) }, checksum)
	if other, ok := errors.AsType[*otherFormat](err); ok {
		return Network{}, plugins.Problemf("the deployed network in %s was written by another version of bittern, in format %d, and this program reads format %d; run the same command with --again to train the experiment afresh", path, other.found, format)
	}
	if err != nil {
		return Network{}, damaged(path, err)
	}
	return n, nil
}

// otherFormat says that an artifact was written by another version of this program.
type otherFormat struct{ found int }

func (o *otherFormat) Error() string {
	return fmt.Sprintf("it has format %d, and this program reads format %d", o.found, format)
}

// Decode is the network of a program.json and a deployed.safetensors, which tensors reads. The
// error says what is damaged.
func Decode(program []byte, tensors func() ([]byte, error), checksum string) (Network, error) {
	if got := digest(program); got != checksum {
		return Network{}, fmt.Errorf("%s has SHA-256 %s instead of %s", programName, got, checksum)
	}
	var written struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(program, &written); err != nil {
		return Network{}, err
	}
	if written.Format != format {
		return Network{}, &otherFormat{max(1, written.Format)}
	}
	var doc document
	if err := json.Unmarshal(program, &doc); err != nil {
		return Network{}, err
	}
	content, err := tensors()
	if err != nil {
		return Network{}, err
	}
	if got := digest(content); got != doc.SHA256 {
		return Network{}, fmt.Errorf("%s has SHA-256 %s instead of %s", tensorsName, got, doc.SHA256)
	}
	list, err := checkpoint.ReadTensors(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return Network{}, err
	}
	named := make(map[string]checkpoint.Tensor, len(list))
	for _, t := range list {
		named[t.Name] = t
	}
	n := Network{Program: doc.Network, Weights: make(map[string]packed.Matrix, len(doc.Weights))}
	for _, l := range doc.Weights {
		m, err := matrix(l, named)
		if err != nil {
			return Network{}, err
		}
		n.Weights[l.Name] = m
	}
	for _, stage := range n.Program.Stages {
		for i := range stage.Graph.Nodes {
			node := &stage.Graph.Nodes[i]
			for kind, table := range tables(node) {
				table.Values = named[tableName(stage.Name, node.Name, kind)].Float32
			}
		}
		for i := range stage.Graph.States {
			state := &stage.Graph.States[i]
			state.Init = named[stateName(stage.Name, state.Name)].Float32
		}
	}
	// Validation notices every tensor that is missing or of another size.
	if err := n.Program.Validate(n.Weights); err != nil {
		return Network{}, err
	}
	return n, nil
}

func damaged(path string, err error) error {
	return plugins.Problemf("the deployed network in %s is damaged (%v); run the same command with --again to train the experiment afresh", path, err)
}
