package guard

import (
	"math"
	"testing"
)

func TestFloats(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 17, 5000} {
		x := Floats(t, n)
		if len(x) != n || cap(x) != n {
			t.Errorf("Floats(%d) has length %d and capacity %d", n, len(x), cap(x))
		}
		if at := Changed(x); at >= 0 {
			t.Errorf("Floats(%d): element %d = %v is no canary", n, at, x[at])
		}
		if n > 0 {
			x[n-1] = float32(math.NaN())
			if at := Changed(x); at != n-1 {
				t.Errorf("Floats(%d): element %d was changed, Changed says %d", n, n-1, at)
			}
		}
	}
}
