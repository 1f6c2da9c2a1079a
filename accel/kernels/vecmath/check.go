package vecmath

import "fmt"

func sameLength(operation string, a, b int) {
	if a != b {
		panic(fmt.Sprintf("vecmath: %s of slices with %d and %d elements", operation, a, b))
	}
}

func checkTarget(logits []float32, target int) {
	if target < 0 || target >= len(logits) {
		panic(fmt.Sprintf("vecmath: target %d of a softmax over %d classes", target, len(logits)))
	}
}
