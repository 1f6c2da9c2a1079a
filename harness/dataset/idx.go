package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"bittern/plugins"
)

// IDX is the content of a file of LeCun's IDX format: an array of unsigned bytes,
// the last dimension fastest.
type IDX struct {
	Dims []int
	Data []byte
}

// The bounds of an IDX file.
const (
	idxMaxDims  = 8
	idxMaxBytes = 1 << 30
	idxByte     = 0x08 // the type code of unsigned bytes
)

// idxTypes names the other types of the format.
var idxTypes = map[byte]string{0x09: "signed bytes", 0x0B: "16-bit integers", 0x0C: "32-bit integers", 0x0D: "float32", 0x0E: "float64"}

// ReadIDX reads an IDX array: two zero bytes, the type of the elements, the number
// of dimensions, the sizes as big-endian 32-bit numbers, and the elements. It
// refuses elements other than unsigned bytes, sizes of 0, more than 8 dimensions,
// more than 1 GiB, missing elements, and bytes after the last one. A refusal is a
// [*plugins.Problem] that names the file and the byte offset.
func ReadIDX(r io.Reader, name string) (*IDX, error) {
	refuse := func(offset int, format string, args ...any) error {
		return plugins.Problemf("%s, byte %d: %s; give an IDX file of unsigned bytes", name, offset, fmt.Sprintf(format, args...))
	}
	var header [4]byte
	if n, err := io.ReadFull(r, header[:]); err != nil {
		return nil, refuse(n, "the file cannot be read to the end of its 4-byte header (%s)", reason(err))
	}
	if header[0] != 0 || header[1] != 0 {
		return nil, refuse(0, "it begins with % x, but an IDX file begins with 00 00", header[:2])
	}
	if header[2] != idxByte {
		what, known := idxTypes[header[2]]
		if !known {
			what = "of no known type"
		}
		return nil, refuse(2, "the elements are %s (type 0x%02x), but 0x%02x is needed", what, header[2], idxByte)
	}
	if header[3] == 0 || header[3] > idxMaxDims {
		return nil, refuse(3, "there are %d dimensions, but 1 to %d are possible", header[3], idxMaxDims)
	}
	array := &IDX{}
	size := int64(1)
	offset := len(header)
	for range header[3] {
		var dim [4]byte
		if n, err := io.ReadFull(r, dim[:]); err != nil {
			return nil, refuse(offset+n, "the file ends within the sizes of its %d dimensions (%s)", header[3], reason(err))
		}
		n := binary.BigEndian.Uint32(dim[:])
		if n == 0 {
			return nil, refuse(offset, "dimension %d has size 0", len(array.Dims))
		}
		if size *= int64(n); size > idxMaxBytes {
			return nil, refuse(offset, "the dimensions ask for more than %d bytes", idxMaxBytes)
		}
		array.Dims = append(array.Dims, int(n))
		offset += len(dim)
	}
	// The buffer grows with what is really there, not with what the header says.
	var data bytes.Buffer
	n, err := io.CopyN(&data, r, size)
	if err != nil {
		return nil, refuse(offset+int(n), "the file ends after %d of %d elements (%s)", n, size, reason(err))
	}
	var extra [1]byte
	if n, err := io.ReadFull(r, extra[:]); n > 0 {
		return nil, refuse(offset+int(size), "there is more after the %d elements", size)
	} else if err != io.EOF {
		return nil, refuse(offset+int(size), "the end of the file cannot be read (%s)", reason(err))
	}
	array.Data = data.Bytes()
	return array, nil
}
