package export

import (
	"encoding/json"
	"io"
	"slices"

	"codeberg.org/sbinet/npyio/npz"

	"bittern/harness/checkpoint"
)

// metadataName is the array of an npz file that holds the metadata: the bytes of a JSON
// object, since the format has nothing for text beside arrays.
const metadataName = "metadata"

// writeNPZ writes tensors of one or two dimensions for NumPy.
func writeNPZ(w io.Writer, tensors []checkpoint.Tensor, metadata map[string]string) error {
	text, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	file := npz.NewWriter(w)
	if err := file.Write(metadataName+".npy", text); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := file.Write(t.Name+".npy", array(t)); err != nil {
			return err
		}
	}
	return file.Close()
}

// array is the tensor as the library takes arrays: a slice, or a slice of rows.
func array(t checkpoint.Tensor) any {
	switch {
	case t.Float32 != nil:
		return shaped(t.Float32, t.Shape)
	case t.Uint16 != nil:
		return shaped(t.Uint16, t.Shape)
	default:
		return shaped(t.Uint8, t.Shape)
	}
}

func shaped[T any](elements []T, shape []int) any {
	if len(shape) == 1 {
		return elements
	}
	return slices.Collect(slices.Chunk(elements, shape[1]))
}
