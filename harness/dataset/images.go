package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins"
)

// Images is a data set of labelled grey images ready for training.
type Images struct {
	Name       string
	Rows, Cols int // of each image

	// Classes is one more than the greatest label of the training part.
	Classes int

	Train, Valid, Test ImagePart

	// SHA256 (hex) is taken over the number of images that validate and the contents
	// of the four files: images and labels to train on, then those to test on.
	SHA256 string
	Split  string
	Note   string
}

// ImagePart is one part of a data set of images.
type ImagePart struct {
	pixels []byte // image after image, row after row
	size   int    // pixels of an image
	Labels []int32
}

// Len is the number of images.
func (p ImagePart) Len() int { return len(p.Labels) }

// Pixel is pixel number j, counted row after row, of image i, in [0, 1]: the byte of
// the file divided by 255.
func (p ImagePart) Pixel(i, j int) float32 { return float32(p.pixels[i*p.size+j]) / 255 }

// mnistValid is the number of training images that validate.
const mnistValid = 10_000

const mnistAddress = "https://ossci-datasets.s3.amazonaws.com/mnist/"

// mnist is LeCun and Cortes's data set of digits. The address is the mirror that
// torchvision reads, as the original page refuses downloads.
var mnist = Set{
	Name: "mnist", Shape: ShapeImages, Status: Published,
	Summary: "handwritten digits of LeCun and Cortes, 28 x 28 pixels",
	Sources: []Source{
		{Path: "mnist/train-images-idx3-ubyte", Bytes: 47_040_016, SHA256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
		{Path: "mnist/train-labels-idx1-ubyte", Bytes: 60_008, SHA256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
		{Path: "mnist/t10k-images-idx3-ubyte", Bytes: 7_840_016, SHA256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
		{Path: "mnist/t10k-labels-idx1-ubyte", Bytes: 10_008, SHA256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
	},
	Downloads: []Download{
		{URL: mnistAddress + "train-images-idx3-ubyte.gz", Bytes: 9_912_422, Packing: Gzip, SHA256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
		{URL: mnistAddress + "train-labels-idx1-ubyte.gz", Bytes: 28_881, Packing: Gzip, SHA256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
		{URL: mnistAddress + "t10k-images-idx3-ubyte.gz", Bytes: 1_648_877, Packing: Gzip, SHA256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
		{URL: mnistAddress + "t10k-labels-idx1-ubyte.gz", Bytes: 4_542, Packing: Gzip, SHA256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
	},
	Described: "http://yann.lecun.com/exdb/mnist/", ByHand: "LeCun's {train,t10k}-{images-idx3,labels-idx1}-ubyte files",
	Parts: []int{50_000, 10_000, 10_000}, Vocabulary: 10,
	Split:   "the last 10,000 training images validate",
	Licence: "LeCun, Cortes; usually stated as CC BY-SA 3.0",
}

// LoadImages reads a data set of images and checks it against its checksums. Of
// mnist the last 10,000 training images validate.
func LoadImages(ctx context.Context, name, dataDir string) (*Images, error) {
	found, err := lookup(name, ShapeImages)
	if err != nil {
		return nil, err
	}
	set := found.describe()
	var files [4]imageFile
	for i, source := range set.Sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if files[i].content, files[i].path, err = set.read(dataDir, source); err != nil {
			return nil, err
		}
	}
	images, err := parseImages(files, mnistValid)
	if err != nil {
		return nil, err
	}
	images.Name, images.Split, images.Note = set.Name, set.Split, set.Note
	return images, nil
}

// ImageFiles names the IDX files of a user's own data set, each plain or a gzip
// stream named ".gz": images of three dimensions (number, rows, columns) and as
// many labels.
type ImageFiles struct {
	TrainImages, TrainLabels string
	TestImages, TestLabels   string

	// Valid is the number of images, from the end of the training files, that
	// validate.
	Valid int
}

// LoadImageFiles reads a user's own IDX files.
func LoadImageFiles(f ImageFiles) (*Images, error) {
	var files [4]imageFile
	for i, path := range []string{f.TrainImages, f.TrainLabels, f.TestImages, f.TestLabels} {
		content, err := readFile(path)
		if err != nil {
			return nil, err
		}
		files[i] = imageFile{path, content}
	}
	images, err := parseImages(files, f.Valid)
	if err != nil {
		return nil, err
	}
	images.Name, images.Split = "images:"+strings.TrimSuffix(filepath.Base(f.TrainImages), ".gz"), fmt.Sprintf("the last %d training images validate", f.Valid)
	return images, nil
}

type imageFile struct {
	path    string
	content []byte
}

// parseImages reads the images and labels of training and test.
func parseImages(files [4]imageFile, valid int) (*Images, error) {
	var arrays [4]*IDX
	digest := sha256.New()
	fmt.Fprintf(digest, "%d\n", valid)
	for i, file := range files {
		array, err := ReadIDX(bytes.NewReader(file.content), file.path)
		if err != nil {
			return nil, err
		}
		digest.Write(file.content)
		want, what := 3, "images, which have 3: number, rows and columns"
		if i%2 == 1 {
			want, what = 1, "labels, which have 1"
		}
		if len(array.Dims) != want {
			return nil, plugins.Problemf("%s, byte 3: there are %d dimensions, but the file is given as one of %s", file.path, len(array.Dims), what)
		}
		if i%2 == 1 && array.Dims[0] != arrays[i-1].Dims[0] {
			return nil, plugins.Problemf("%s has %d labels, but %s has %d images; give files that belong together",
				file.path, array.Dims[0], files[i-1].path, arrays[i-1].Dims[0])
		}
		arrays[i] = array
	}
	train, test := arrays[0], arrays[2]
	if train.Dims[1] != test.Dims[1] || train.Dims[2] != test.Dims[2] {
		return nil, plugins.Problemf("%s holds images of %d x %d, but %s of %d x %d; give files that belong together",
			files[2].path, test.Dims[1], test.Dims[2], files[0].path, train.Dims[1], train.Dims[2])
	}
	if valid < 1 || valid >= train.Dims[0] {
		return nil, plugins.Problemf("%d of the %d images of %s cannot validate; let at least 1 validate and leave at least 1 to train on", valid, train.Dims[0], files[0].path)
	}
	images := &Images{Rows: train.Dims[1], Cols: train.Dims[2], SHA256: hex.EncodeToString(digest.Sum(nil))}
	images.Classes = int(slices.Max(arrays[1].Data)) + 1
	for i, label := range arrays[3].Data {
		if int(label) >= images.Classes {
			return nil, plugins.Problemf("%s, byte %d: the label is %d, but the greatest of %s is %d", files[3].path, 8+i, label, files[1].path, images.Classes-1)
		}
	}
	size := images.Rows * images.Cols
	part := func(a, b *IDX, from, to int) ImagePart {
		p := ImagePart{pixels: a.Data[from*size : to*size], size: size, Labels: make([]int32, to-from)}
		for i, label := range b.Data[from:to] {
			p.Labels[i] = int32(label)
		}
		return p
	}
	cut := train.Dims[0] - valid
	images.Train = part(arrays[0], arrays[1], 0, cut)
	images.Valid = part(arrays[0], arrays[1], cut, train.Dims[0])
	images.Test = part(arrays[2], arrays[3], 0, test.Dims[0])
	return images, nil
}

// PermutationSeed is the seed of the one order of pixels that psmnist uses.
const PermutationSeed = 784

// Permutation returns the order in which a permuted task reads n pixels: step t
// shows pixel Permutation(n, seed)[t]. It is a Fisher–Yates shuffle of 0 … n−1,
// from the end: for i = n−1 … 1 it swaps i with w mod (i+1), w being the next output of
// SplitMix64 (Steele, Lea and Flood, 2014) seeded with seed. So another program
// makes the same one.
func Permutation(n int, seed uint64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		word := vecmath.SplitMix64(seed, n-1-i)
		j := int(word % uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}
