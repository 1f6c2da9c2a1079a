package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/checkpoint"
)

// raw is a safetensors file with the given header and data.
func raw(header, data string) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), data...)
}

func read(file []byte) ([]checkpoint.Tensor, error) {
	return checkpoint.ReadTensors(bytes.NewReader(file), int64(len(file)))
}

// The bytes follow the format's own description: eight bytes of length, a JSON
// header, then little-endian data.
func TestReadHandMadeFile(t *testing.T) {
	t.Parallel()
	got, err := read(raw(`{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"from":"elsewhere"},"c":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}`,
		"\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x02\x03"))
	if err != nil {
		t.Fatal(err)
	}
	want := []checkpoint.Tensor{
		{Name: "c", Shape: []int{3}, Uint8: []uint8{1, 2, 3}},
		{Name: "w", Shape: []int{1, 2}, Float32: []float32{1, -2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
}

func TestSameBytesInAnyOrder(t *testing.T) {
	t.Parallel()
	var forward, backward bytes.Buffer
	tensors := state()
	if err := checkpoint.WriteTensors(&forward, tensors, nil); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(tensors)
	if err := checkpoint.WriteTensors(&backward, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(forward.Bytes(), backward.Bytes()) {
		t.Errorf("got %q in reverse, want %q", backward.Bytes(), forward.Bytes())
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file []byte
		word string
	}{
		"empty":            {nil, "0 bytes"},
		"long header":      {binary.LittleEndian.AppendUint64(nil, 1<<63), "claims"},
		"header cut":       {raw(`{"a":`, ""), "header cannot be read"},
		"missing data":     {raw(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, "12"), "claims the bytes 0 to 3 of 2"},
		"excess data":      {raw(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, "1234"), "take 3 of 4 bytes"},
		"hole":             {raw(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}`, "1234"), "claims the bytes 1 to 4"},
		"overlap":          {raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "123"), "claims the bytes 1 to 3"},
		"backwards":        {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,-1]}}`, ""), "header cannot be read"},
		"shape too small":  {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, "12345678"), "claims"},
		"part of a number": {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,6]}}`, "123456"), "claims"},
		"overflow":         {raw(`{"a":{"dtype":"U8","shape":[4294967296,4294967297],"data_offsets":[0,0]}}`, ""), "too large"},
		"unread type":      {raw(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, "12345678"), "F64"},
		"unknown type":     {raw(`{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,8]}}`, "12345678"), "F7"},
	} {
		if _, err := read(test.file); err == nil || !strings.Contains(err.Error(), test.word) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.word)
		}
	}
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	want := state()
	var file bytes.Buffer
	if err := checkpoint.WriteTensors(&file, want, nil); err != nil {
		t.Fatal(err)
	}
	got, err := read(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, func(a, b checkpoint.Tensor) int { return strings.Compare(a.Name, b.Name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full to write to: ", err)
	}
	defer full.Close()
	if err := checkpoint.WriteTensors(full, state(), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want %v", err, syscall.ENOSPC)
	}
}

// Whatever is read without an error is written and read again the same.
func FuzzReadTensors(f *testing.F) {
	var sound bytes.Buffer
	if err := checkpoint.WriteTensors(&sound, state(), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(sound.Bytes())
	f.Add(raw(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, "123"))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}`, ""))
	f.Add(raw(`null`, ""))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, err := read(file)
		if err != nil {
			return
		}
		var written bytes.Buffer
		if err := checkpoint.WriteTensors(&written, tensors, nil); err != nil {
			t.Fatalf("%q was read but cannot be written: %v", file, err)
		}
		again, err := read(written.Bytes())
		if err != nil {
			t.Fatalf("%q was written but cannot be read: %v", written.Bytes(), err)
		}
		var twice bytes.Buffer
		if err := checkpoint.WriteTensors(&twice, again, nil); err != nil || !bytes.Equal(written.Bytes(), twice.Bytes()) {
			t.Errorf("got %q, %v, want %q", twice.Bytes(), err, written.Bytes())
		}
	})
}
