package task

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"bittern/harness/dataset"
	"bittern/plugins"
)

// Default is the task of a suite's entry that names none.
const Default = "characters"

// Definition describes a task that suites can name, before data and options are chosen.
type Definition struct {
	Name    string
	Summary string

	// Unit is the plural of what has a target, such as characters or images. Speed is
	// shown in it. Empty means "targets".
	Unit string

	// Shape is the shape of the data sets that the task takes; empty if it takes none of
	// those in package dataset.
	Shape dataset.Shape

	// Data is the default data set. If it is empty, an entry must name a data set or
	// files of the user's own.
	Data string

	// Options are the settings of the task.
	Options []plugins.Option

	// Files names the options for the files of a user's own data. They are given all
	// together, in place of a data set, and are text options with an empty default.
	Files []string

	// Check refuses a data set and options that do not go together, without looking for
	// any file. [Definition.Resolve] has filled in both. data is empty if files of the
	// user's own are named. Check may be nil.
	Check func(data string, options plugins.Values) error

	// Load makes the task. Check has allowed its arguments.
	Load func(ctx context.Context, l *Loader, data string, options plugins.Values) (Task, Data, error)
}

// Names of the options that several tasks have.
const (
	optionBatch  = "batch"
	optionLength = "length"
)

func whole(name string, standard, least, most int, doc string) plugins.Option {
	return plugins.Option{Name: name, Type: plugins.Int, Default: strconv.Itoa(standard), Min: float64(least), Max: float64(most), Doc: doc}
}

func text(name, standard, doc string) plugins.Option {
	return plugins.Option{Name: name, Type: plugins.String, Default: standard, Doc: doc}
}

const (
	maxBytes  = 1_000_000_000_000
	maxBatch  = 1 << 16
	maxLength = 1 << 20
)

const delayedCopyData = "delayed-copy"

// builtin lists the tasks of this package.
func builtin() []Definition {
	return []Definition{
		{
			Name: "characters", Summary: "predict the next byte of a text; BPC", Unit: "characters", Shape: dataset.ShapeText,
			Options: append([]plugins.Option{
				whole("bytes", 0, 0, maxBytes, "use only the first bytes of the data; 0 is all"),
				whole(optionBatch, 64, 1, maxBatch, "windows in a batch"),
				whole(optionLength, 100, 1, maxLength, "symbols in a window"),
			}, ownText("characters")...),
			Files: []string{"text"},
			Check: checkOwnText,
			Load:  loadCharacters,
		},
		words(),
		images("smnist", "the class of an image that is read pixel by pixel; accuracy", inOrder),
		images("psmnist", "the same in one fixed random order of the pixels, of seed "+strconv.Itoa(dataset.PermutationSeed), func(n int) []int {
			return dataset.Permutation(n, dataset.PermutationSeed)
		}),
		cloze(),
		stories(),
		{
			Name: "delayed-copy", Summary: "repeat every symbol some steps later; generated; accuracy, of which 12.5 % is chance",
			Unit: "symbols", Shape: dataset.ShapeSequence, Data: delayedCopyData,
			Options: []plugins.Option{
				whole(optionBatch, 32, 1, maxBatch, "examples in a batch"),
				whole(optionLength, 25, 2, maxLength, "steps of an example"),
				whole("delay", 5, 1, maxLength, "steps from a symbol to where it is repeated"),
				whole("examples", 2048, 1, maxLength, "examples of an epoch"),
				whole("evaluated", 256, 1, maxLength, "examples that validate, and as many that test"),
			},
			Check: func(_ string, o plugins.Values) error { _, err := delayedCopy(o); return err },
			Load: func(_ context.Context, _ *Loader, data string, o plugins.Values) (Task, Data, error) {
				if data != delayedCopyData {
					return nil, Data{}, plugins.Problemf("the task delayed-copy has the data set %s alone, not %q; take data out", delayedCopyData, data)
				}
				t, err := delayedCopy(o)
				if err != nil {
					return nil, Data{}, err
				}
				return t, t.data(), nil
			},
		},
	}
}

// added are the tasks of other packages.
var added struct {
	sync.RWMutex
	definitions []Definition
}

// Register adds a task to those that suites can name. The init function of the package that
// implements the task calls it. It panics if the name is taken, or if the definition lacks a
// name, Load, or both a data set and files.
func Register(d Definition) {
	if d.Name == "" || d.Data == "" && len(d.Files) == 0 || d.Load == nil {
		panic(fmt.Sprintf("task: the definition of %q lacks a name, data or Load", d.Name))
	}
	if slices.Contains(Names(), d.Name) {
		panic(fmt.Sprintf("task: there are two tasks %q", d.Name))
	}
	added.Lock()
	defer added.Unlock()
	added.definitions = append(added.definitions, d)
}

// Definitions lists every task: the registry.
func Definitions() []Definition {
	added.RLock()
	defer added.RUnlock()
	return append(builtin(), added.definitions...)
}

// ownText are the options of a task that reads a text of the user's own.
func ownText(of string) []plugins.Option {
	return []plugins.Option{
		text("text", "", "a text file of your own in place of data, from the working directory"),
		text("split", "", "fractions of train, valid and test of that text, by position in "+of+"; [0.9, 0.05, 0.05] where it is left out"),
	}
}

func checkOwnText(data string, o plugins.Values) error {
	if data != "" && o.Text("split") != "" {
		return plugins.Problemf("split is for a text of your own; take it out, for a data set has its own")
	}
	_, err := fractions(o.Text("split"))
	return err
}

// images is a task over the pixels of images, in an order.
func images(name, summary string, order func(pixels int) []int) Definition {
	return Definition{
		Name: name, Summary: summary, Unit: "images", Shape: dataset.ShapeImages, Data: "mnist",
		Options: []plugins.Option{
			whole(optionBatch, 100, 1, maxBatch, "images in a batch"),
			text("train_images", "", "an IDX file of your own images to train on, from the working directory, in place of data"),
			text("train_labels", "", "the IDX file of their labels"),
			text("test_images", "", "an IDX file of your own images to test on"),
			text("test_labels", "", "the IDX file of their labels"),
			whole("valid", 0, 0, maxBytes, "of your own training images, how many at the end validate"),
		},
		Files: []string{"train_images", "train_labels", "test_images", "test_labels"},
		Check: func(data string, o plugins.Values) error {
			if valid := o.Int("valid"); (data == "") != (valid > 0) {
				return plugins.Problemf("valid is %d; give how many of your own images validate, and leave it out for a data set", valid)
			}
			return nil
		},
		Load: func(ctx context.Context, l *Loader, data string, o plugins.Values) (Task, Data, error) {
			loaded, err := l.images(ctx, data, o)
			if err != nil {
				return nil, Data{}, err
			}
			t, err := NewSequentialImages(loaded, o.Int(optionBatch), order(loaded.Rows*loaded.Cols))
			return t, Data{
				Name: loaded.Name, SHA256: loaded.SHA256, Split: loaded.Split, Note: loaded.Note,
				Summary: fmt.Sprintf("%d + %d + %d images of %d x %d, %d classes",
					loaded.Train.Len(), loaded.Valid.Len(), loaded.Test.Len(), loaded.Rows, loaded.Cols, loaded.Classes),
			}, err
		},
	}
}

func loadCharacters(ctx context.Context, l *Loader, data string, o plugins.Values) (Task, Data, error) {
	loaded, err := l.text(ctx, data, o)
	if err != nil {
		return nil, Data{}, err
	}
	t, err := NewLanguageModel(loaded, o.Int(optionBatch), o.Int(optionLength))
	return t, Data{
		Name: loaded.Name, SHA256: loaded.SHA256, Synthetic: loaded.Synthetic, Split: loaded.Split, Note: loaded.Note,
		Summary: fmt.Sprintf("%d bytes, %d symbols", loaded.Bytes, len(loaded.Vocabulary)),
	}, err
}

func delayedCopy(o plugins.Values) (*DelayedCopy, error) {
	return NewDelayedCopy(o.Int(optionBatch), o.Int(optionLength), o.Int("delay"), o.Int("examples"), o.Int("evaluated"))
}

// fractions reads a split, which package dataset checks.
func fractions(split string) ([]float64, error) {
	if split == "" {
		return []float64{0.9, 0.05, 0.05}, nil
	}
	var all []float64
	for _, field := range strings.Split(split, ",") {
		fraction, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil {
			return nil, plugins.Problemf("split must be three fractions such as [0.9, 0.05, 0.05], not %q", split)
		}
		all = append(all, fraction)
	}
	return all, nil
}

// Names lists every task.
func Names() []string {
	var names []string
	for _, d := range Definitions() {
		names = append(names, d.Name)
	}
	return names
}

// Find is the definition of a name; an unknown one is a *plugins.Problem.
func Find(name string) (Definition, error) {
	for _, d := range Definitions() {
		if d.Name == name {
			return d, nil
		}
	}
	return Definition{}, plugins.Problemf("there is no task %q%s; the tasks are %s", name, plugins.DidYouMean(name, Names()), strings.Join(Names(), ", "))
}

// OptionNames lists the names of the task's options.
func (d Definition) OptionNames() []string {
	names := make([]string, len(d.Options))
	for i, o := range d.Options {
		names[i] = o.Name
	}
	return names
}

// Resolve checks the data set and the options of an entry against each other, without
// looking for any file, and returns both with the defaults filled in. The data set is
// empty if files of the user's own take its place. What the user has to mend is a
// *plugins.Problem.
func (d Definition) Resolve(data string, given plugins.Values) (string, plugins.Values, error) {
	options, err := plugins.Resolve("task "+d.Name, d.Options, given)
	if err != nil {
		return "", nil, err
	}
	own := slices.ContainsFunc(d.Files, func(file string) bool { return options.Text(file) != "" })
	switch {
	case own && data != "":
		return "", nil, plugins.Problemf("both data and %s are given; take one of them out", strings.Join(d.Files, ", "))
	case own:
		for _, file := range d.Files {
			if options.Text(file) == "" {
				return "", nil, plugins.Problemf("%s is not given; data of your own needs %s", file, strings.Join(d.Files, ", "))
			}
		}
	case data == "" && d.Data == "":
		return "", nil, plugins.Problemf("it has no data; give data, which `bittern data list` shows, or %s", strings.Join(d.Files, ", "))
	case data == "":
		data = d.Data
	}
	if set, err := dataset.Find(data); err == nil && set.Shape != d.Shape {
		return "", nil, plugins.Problemf("data set %s is of shape %s, but one of shape %s is needed; `bittern data list` shows all data sets", data, set.Shape, d.Shape)
	}
	if d.Check == nil {
		return data, options, nil
	}
	return data, options, d.Check(data, options)
}

// checkNoFile refuses a file that is given as a data set.
func (d Definition) checkNoFile(data string) error {
	if d.Shape == "" || data == d.Data {
		return nil
	}
	if _, err := dataset.Find(data); err == nil {
		return nil
	}
	info, err := os.Stat(data)
	if err != nil {
		return nil // it is no file either
	}
	what := "file"
	if info.IsDir() {
		what = "folder"
	}
	switch len(d.Files) {
	case 0:
		return plugins.Problemf("%q is a %s and no data set, and the task %s reads data sets alone; `bittern data list` shows them all", data, what, d.Name)
	case 1:
		return plugins.Problemf("%q is a %s and no data set; write %s: %s in place of data", data, what, d.Files[0], data)
	}
	return plugins.Problemf("%q is a %s and no data set; data of your own are given by %s in place of data", data, what, strings.Join(d.Files, ", "))
}

// Data says what a task was made of.
type Data struct {
	Name      string // of the data set, or of the user's file
	SHA256    string // identifies the content used
	Synthetic bool   // made up by a program
	Split     string // in words
	Note      string // what a table must say beside a figure measured on it, or nothing
	Summary   string // how much it is, in words
}

// Loaded is a task with its data.
type Loaded struct {
	Task Task
	Data Data
	Unit string // what has a target, in the plural

	// Options are the task's that determine what a network learns. The paths of
	// files are not among them: Data says what was in those.
	Options plugins.Values
}

// Request names what to load: a task, a data set, and options. The data set and options that
// are left out get their defaults.
type Request struct {
	Task    string
	Data    string
	Options plugins.Values
}

// Loader makes tasks. Tasks over the same data share it in memory.
type Loader struct {
	DataDir string // where data sets that are files lie; empty when the user named none

	texts     map[string]*dataset.Text
	wordTexts map[string]*dataset.Words
	readings  map[string]*dataset.Reading
	pictures  map[string]*dataset.Images
}

// Load makes a task. What the user has to mend is a *plugins.Problem.
func (l *Loader) Load(ctx context.Context, request Request) (Loaded, error) {
	d, err := Find(request.Task)
	if err != nil {
		return Loaded{}, err
	}
	data, options, err := d.Resolve(request.Data, request.Options)
	if err == nil {
		err = d.checkNoFile(data)
	}
	if err != nil {
		return Loaded{}, err
	}
	t, found, err := d.Load(ctx, l, data, options)
	if err != nil {
		return Loaded{}, err
	}
	for _, file := range d.Files {
		delete(options, file)
	}
	return Loaded{Task: t, Data: found, Unit: cmp.Or(d.Unit, "targets"), Options: options}, nil
}

func (l *Loader) text(ctx context.Context, data string, o plugins.Values) (*dataset.Text, error) {
	if data == "" {
		return remember(&l.texts, []string{o.Text("text"), o.Text("split"), o.Text("bytes")}, func() (*dataset.Text, error) {
			split, err := fractions(o.Text("split"))
			if err != nil {
				return nil, err
			}
			return dataset.LoadText(o.Text("text"), split, o.Int("bytes"))
		})
	}
	return remember(&l.texts, []string{data, o.Text("bytes")}, func() (*dataset.Text, error) {
		return dataset.Load(ctx, dataset.Request{Name: data, DataDir: l.DataDir, MaxBytes: o.Int("bytes")})
	})
}

func (l *Loader) images(ctx context.Context, data string, o plugins.Values) (*dataset.Images, error) {
	if data == "" {
		files := dataset.ImageFiles{
			TrainImages: o.Text("train_images"), TrainLabels: o.Text("train_labels"),
			TestImages: o.Text("test_images"), TestLabels: o.Text("test_labels"), Valid: o.Int("valid"),
		}
		key := []string{files.TrainImages, files.TrainLabels, files.TestImages, files.TestLabels, o.Text("valid")}
		return remember(&l.pictures, key, func() (*dataset.Images, error) { return dataset.LoadImageFiles(files) })
	}
	return remember(&l.pictures, []string{data}, func() (*dataset.Images, error) { return dataset.LoadImages(ctx, data, l.DataDir) })
}

// remember loads what is not known yet under a key.
func remember[T any](known *map[string]*T, key []string, load func() (*T, error)) (*T, error) {
	name := fmt.Sprintf("%q", key)
	if found, ok := (*known)[name]; ok {
		return found, nil
	}
	loaded, err := load()
	if err != nil {
		return nil, err
	}
	if *known == nil {
		*known = make(map[string]*T)
	}
	(*known)[name] = loaded
	return loaded, nil
}
