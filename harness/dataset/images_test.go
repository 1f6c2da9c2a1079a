package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// idx writes an array in the format.
func idx(kind byte, data []byte, dims ...uint32) []byte {
	file := []byte{0, 0, kind, byte(len(dims))}
	for _, n := range dims {
		file = binary.BigEndian.AppendUint32(file, n)
	}
	return append(file, data...)
}

func TestReadIDX(t *testing.T) {
	t.Parallel()
	array, err := ReadIDX(bytes.NewReader(idx(idxByte, []byte{1, 2, 3, 4, 5, 6}, 2, 3)), "name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&IDX{[]int{2, 3}, []byte{1, 2, 3, 4, 5, 6}}, array); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, test := range map[string]struct {
		file  []byte
		words []string
	}{
		"empty":           {nil, []string{"name, byte 0", "4-byte header"}},
		"short header":    {[]byte{0, 0, 8}, []string{"name, byte 3"}},
		"magic":           {[]byte("IDX!"), []string{"byte 0", "49 44"}},
		"float32":         {idx(0x0D, make([]byte, 4), 1), []string{"byte 2", "float32"}},
		"unknown type":    {idx(0x42, nil, 1), []string{"byte 2", "no known type (type 0x42)"}},
		"no dimensions":   {idx(idxByte, nil), []string{"byte 3", "0 dimensions"}},
		"many dimensions": {idx(idxByte, nil, 1, 1, 1, 1, 1, 1, 1, 1, 1), []string{"byte 3", "9 dimensions"}},
		"cut dimensions":  {idx(idxByte, nil, 2, 3)[:10], []string{"byte 10", "within the sizes of its 2 dimensions"}},
		"size 0":          {idx(idxByte, nil, 2, 0), []string{"byte 8", "dimension 1 has size 0"}},
		"too large":       {idx(idxByte, nil, 1<<20, 1<<11), []string{"byte 8", "more than 1073741824 bytes"}},
		"overflow":        {idx(idxByte, nil, 1<<31, 1<<31, 1<<31), []string{"byte 4", "more than 1073741824 bytes"}},
		"missing data":    {idx(idxByte, []byte{1}, 2, 3), []string{"byte 13", "after 1 of 6 elements"}},
		"trailing data":   {idx(idxByte, make([]byte, 7), 2, 3), []string{"byte 18", "more after the 6 elements"}},
	} {
		_, err := ReadIDX(bytes.NewReader(test.file), "name")
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

// A header may ask for a gigabyte; memory follows what is there. Not parallel, as it
// counts what the process allocates.
func TestReadIDXDoesNotAllocateOnAPromise(t *testing.T) {
	file := idx(idxByte, []byte{1}, 1<<10, 1<<10, 1<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadIDX(bytes.NewReader(file), "name")
	runtime.ReadMemStats(&after)
	wantProblem(t, err, "after 1 of 1073741824 elements")
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d", got, len(file))
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add(idx(idxByte, []byte{1, 2, 3, 4, 5, 6}, 2, 3))
	f.Add(idx(idxByte, nil, 1<<31, 1<<31))
	f.Add(idx(0x0D, make([]byte, 4), 1))
	f.Add([]byte{0, 0, 8, 255})
	f.Fuzz(func(t *testing.T, file []byte) {
		array, err := ReadIDX(bytes.NewReader(file), "name")
		if err != nil {
			wantProblem(t, err, "name, byte ")
			return
		}
		dims := make([]uint32, len(array.Dims))
		for i, n := range array.Dims {
			dims[i] = uint32(n)
		}
		if again := idx(idxByte, array.Data, dims...); !bytes.Equal(again, file) {
			t.Errorf("% x was read as %v and % x", file, array.Dims, array.Data)
		}
	})
}

// digits is a small data set: 5 images of 1 x 2 to train on and 2 to test on.
func digits() [4]imageFile {
	return [4]imageFile{
		{"train-images", idx(idxByte, []byte{0, 255, 51, 102, 1, 2, 3, 4, 5, 6}, 5, 1, 2)},
		{"train-labels", idx(idxByte, []byte{0, 1, 2, 0, 1}, 5)},
		{"test-images", idx(idxByte, []byte{7, 8, 9, 10}, 2, 1, 2)},
		{"test-labels", idx(idxByte, []byte{2, 0}, 2)},
	}
}

func TestLoadImageFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths [4]string
	for i, file := range digits() {
		paths[i] = filepath.Join(dir, file.path)
		if i%2 == 0 {
			paths[i] += ".gz"
			file.content = gzipped(t, string(file.content))
		}
		write(t, paths[i], file.content)
	}
	images, err := LoadImageFiles(ImageFiles{paths[0], paths[1], paths[2], paths[3], 2})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(images.Name, images.Rows, images.Cols, images.Classes, images.Train.Labels, images.Valid.Labels, images.Test.Labels, images.Split)
	if want := "images:train-images1 2 3 [0 1 2] [0 1] [2 0]the last 2 training images validate"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	pixels := make([]float32, 2)
	for i, want := range [][]float32{{0, 1}, {0.2, 0.4}} {
		if readPixels(images.Train, i, pixels); !slices.Equal(pixels, want) {
			t.Errorf("image %d has pixels %v, want %v", i, pixels, want)
		}
	}
	if readPixels(images.Valid, 1, pixels); !slices.Equal(pixels, []float32{5. / 255, 6. / 255}) {
		t.Errorf("the last validation image has pixels %v", pixels)
	}
	other, err := parseImages(digits(), 1)
	if err != nil || other.SHA256 == images.SHA256 {
		t.Errorf("with another split: identity %v, %v; want another", other, err)
	}
}

func TestParseImagesRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file    int
		content []byte
		valid   int
		words   []string
	}{
		"images for labels": {1, idx(idxByte, []byte{0}, 1, 1, 1), 2, []string{"train-labels, byte 3", "3 dimensions", "labels"}},
		"labels for images": {0, idx(idxByte, []byte{0}, 1), 2, []string{"train-images, byte 3", "1 dimensions", "images"}},
		"label missing":     {3, idx(idxByte, []byte{0}, 1), 2, []string{"test-labels has 1 labels", "test-images has 2"}},
		"other size":        {2, idx(idxByte, []byte{0, 0, 0, 0}, 2, 2, 1), 2, []string{"test-images", "2 x 1", "1 x 2"}},
		"other label":       {3, idx(idxByte, []byte{0, 3}, 2), 2, []string{"test-labels, byte 9", "the label is 3"}},
		"nothing left":      {3, digits()[3].content, 5, []string{"5 of the 5 images"}},
		"none validates":    {3, digits()[3].content, 0, []string{"0 of the 5 images"}},
		"malformed":         {2, []byte("no"), 2, []string{"test-images, byte 2"}},
	} {
		files := digits()
		files[test.file].content = test.content
		_, err := parseImages(files, test.valid)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.words...) })
	}
}

// The published numbers: LeCun, Bottou, Bengio and Haffner (1998).
func TestMNIST(t *testing.T) {
	t.Parallel()
	images, err := LoadImages(t.Context(), "mnist", dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	got := []int{images.Train.Len(), images.Valid.Len(), images.Test.Len(), images.Rows, images.Cols, images.Classes}
	if !cmp.Equal(got, []int{50_000, 10_000, 10_000, 28, 28, 10}) {
		t.Errorf("got %v images, rows, columns, classes; want 50000, 10000, 10000, 28, 28, 10", got)
	}
	counts := make([]int, 10)
	for _, label := range slices.Concat(images.Train.Labels, images.Valid.Labels) {
		counts[label]++
	}
	if want := []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}; !cmp.Equal(counts, want) {
		t.Errorf("training labels %v, want %v", counts, want)
	}
	// The mean and deviation that every MNIST example normalises with.
	pixels := make([]float32, 28*28)
	sum := 0.0
	for i := range images.Train.Len() {
		readPixels(images.Train, i, pixels)
		for _, p := range pixels {
			sum += float64(p)
		}
	}
	for i := range images.Valid.Len() {
		readPixels(images.Valid, i, pixels)
		for _, p := range pixels {
			sum += float64(p)
		}
	}
	if mean := sum / 60_000 / 784; mean < 0.13065 || mean > 0.13067 {
		t.Errorf("the mean pixel is %v, want 0.1307", mean)
	}
	if images.Test.Labels[0] != 7 || images.Valid.Labels[9_999] != 8 || images.Train.Labels[0] != 5 {
		t.Errorf("first test label %d, last validation label %d, first training label %d; want 7, 8, 5",
			images.Test.Labels[0], images.Valid.Labels[9_999], images.Train.Labels[0])
	}
}

// Another program, written from the doc comment alone, made this order:
//
//	M=2**64-1; s=784; o=list(range(784))
//	for i in range(783,0,-1):
//	    s=(s+0x9E3779B97F4A7C15)&M; z=s
//	    z=((z^z>>30)*0xBF58476D1CE4E5B9)&M; z=((z^z>>27)*0x94D049BB133111EB)&M; z^=z>>31
//	    j=z%(i+1); o[i],o[j]=o[j],o[i]
//	print(hashlib.sha256(" ".join(map(str,o)).encode()).hexdigest(), o[:8])
func TestPermutation(t *testing.T) {
	t.Parallel()
	order := Permutation(784, PermutationSeed)
	sum := sha256.Sum256([]byte(fmt.Sprint(order)[1 : len(fmt.Sprint(order))-1]))
	if got := hex.EncodeToString(sum[:]); got != permutationDigest {
		t.Errorf("the order begins with %v and has SHA-256 %s, want %s", order[:8], got, permutationDigest)
	}
	slices.Sort(order)
	for i, pixel := range order {
		if i != pixel {
			t.Fatalf("pixel %d is missing from the order", i)
		}
	}
	if slices.Equal(Permutation(784, 1), Permutation(784, 2)) {
		t.Error("two seeds give one order")
	}
}

const permutationDigest = "2673a83551155a69c09d433e8319b81dd58653b603d2a5ef0ccc8bcc02b95769"

// readPixels reads the pixels of image i, row after row.
func readPixels(p ImagePart, i int, pixels []float32) {
	for j := range pixels {
		pixels[j] = p.Pixel(i, j)
	}
}
