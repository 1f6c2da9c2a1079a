package lut

import (
	"testing"

	"bittern/accel/kernels/internal/guard"
)

// Kernels touch nothing behind their slices, not even to read.
func TestNothingBehindSlices(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		for n := 1; n <= 50; n++ {
			x, y := guard.Slice[float32](t, n), guard.Slice[float32](t, n)
			k.largest(x)
			k.fromIntegers(y, 1)
			k.fromIntegersScaleShift(y, 1, x, x)
			for levels := 2; levels <= 3; levels++ {
				plane := (n + 63) / 64 * 8
				bits := guard.Slice[byte](t, (levels-1)*plane)
				k.choose[levels-2](y, bits, plane, guard.Slice[float32](t, levels*n), n, 1)
				k.choose[levels-2](y, bits, plane, guard.Slice[float32](t, levels*repeats), repeats, 0)
				k.chooseScaleAdd[levels-2](y, bits, plane, guard.Slice[float32](t, levels*n), n, 1, x, x)
				k.chooseScaleAdd[levels-2](y, bits, plane, guard.Slice[float32](t, levels*repeats), repeats, 0, x, x)
			}
			bits := n%codedBits + 1
			per := perWord(bits)
			k.codedColumn(guard.Slice[float32](t, codedLanes*per*(1+n%2)), guard.Slice[byte](t, 4*codedLanes*(1+n%2)), guard.Slice[float32](t, codedLevels), bits, per)
			columns := n%7 + 1
			k.dense(y, guard.Slice[float32](t, (n+k.lanes-1)/k.lanes*k.lanes*columns), guard.Slice[float32](t, columns))
		}
		for _, together := range k.together {
			for taken := 1; taken <= 2; taken++ {
				columns := (taken-1)*denseApart + 1
				block := k.lanes * columns
				together.add(guard.Slice[float32](t, 2*together.vectors*k.lanes), guard.Slice[float32](t, 2*block),
					guard.Slice[float32](t, together.vectors*columns), block, taken, nil)
			}
		}
		for chunks := 1; chunks <= 3; chunks++ {
			for bits := 1; bits <= codedBits; bits++ {
				s := k.codedSummation(guard.Slice[float32](t, codedLevels), bits)
				edges(t, s, guard.Slice[byte](t, chunks*s.tableBytes), chunks)
			}
			whole := 16 * chunks
			k.quantize(guard.Slice[int16](t, whole), guard.Slice[float32](t, whole), 1)
			for planes := 1; planes <= 2; planes++ {
				of := func(l layout) (tables []byte, q []int16) {
					return guard.Slice[byte](t, chunks*l.tableBytes), guard.Slice[int16](t, chunks*l.chunk)
				}
				tables, q := of(k.int14[planes-1].layout)
				k.int14Tables(tables, q)
				edges(t, &k.int14[planes-1], tables, chunks)

				tables, q = of(k.int8[planes-1].layout)
				if largest := k.int8Largest[planes-1](q); largest != 0 {
					t.Errorf("got a largest partial sum of %d for activations of 0", largest)
				}
				k.int8Tables[planes-1](tables, q, 1000)
				edges(t, &k.int8[planes-1], tables, chunks)

				l := exact[planes-1].layout
				tables = guard.Slice[byte](t, chunks*l.tableBytes)
				exactTables(tables, guard.Slice[float32](t, chunks*l.chunk))
				edges(t, &exact[planes-1], tables, chunks)
			}
		}
	})
}

func edges[Sum int32 | float32](t *testing.T, s *summation[Sum], tables []byte, chunks int) {
	t.Helper()
	for blocks := 1; blocks <= 2; blocks++ {
		dst := guard.Slice[Sum](t, blocks*blockRows)
		s.sums(dst, guard.Slice[byte](t, blocks*chunks*s.codeBytes), tables, chunks)
		for r, sum := range dst {
			if sum != 0 {
				t.Fatalf("row %d of %d with activations of 0: got %v, want 0", r, len(dst), sum)
			}
		}
		if s.together == nil {
			continue
		}
		for first := range chunks { // the chunks from that one on
			var all [togetherSums][]Sum
			var same [togetherSums][]byte
			for i := range all {
				all[i], same[i] = guard.Slice[Sum](t, blocks*blockRows), tables
			}
			codes := guard.Slice[byte](t, blocks*chunks*s.codeBytes)
			s.together(&all, codes[first*s.codeBytes:], &same, first, chunks-first, first*s.codeBytes, blocks)
		}
	}
}
