package task

import (
	"fmt"
	"math/rand/v2"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/network"
)

// SequentialImages shows an image as a sequence of its pixels, one a time step, and asks
// after the last one for its class (Le, Jaitly and Hinton, 2015).
//
// In training the images of an epoch come in random order; the last partial batch is
// dropped. In evaluation they come in order and all count; a last, partial batch is
// filled up with the first images of the training part, which have no target.
type SequentialImages struct {
	shape  network.Shape
	images *dataset.Images
	order  []int // pixel of each step
}

// pixelsName is the name of the input and of its stream.
const pixelsName = "pixels"

var _ Task = (*SequentialImages)(nil)

// NewSequentialImages checks that there is a batch to train on. order is the pixel, by
// number row after row, that each step shows; it has every pixel once.
func NewSequentialImages(images *dataset.Images, batch int, order []int) (*SequentialImages, error) {
	if batch < 1 {
		return nil, plugins.Problemf("data set %s: a batch needs at least 1 image, not %d", images.Name, batch)
	}
	if n := images.Train.Len(); n < batch {
		return nil, plugins.Problemf("data set %s: the train part of %d images is less than one batch of %d; use a smaller batch", images.Name, n, batch)
	}
	if pixels := images.Rows * images.Cols; len(order) != pixels {
		return nil, fmt.Errorf("data set %s: an order of %d pixels was given for images of %d", images.Name, len(order), pixels)
	}
	return &SequentialImages{
		images: images, order: order,
		shape: network.Shape{
			Inputs:    []network.Input{{Name: pixelsName, Role: network.Features, Stream: pixelsName, Size: 1}},
			Steps:     map[string]int{pixelsName: len(order)},
			Sequences: batch, Classes: images.Classes,
		},
	}, nil
}

// Shape implements [Task].
func (t *SequentialImages) Shape() network.Shape { return t.shape }

// Metric implements [Task].
func (t *SequentialImages) Metric() metric.Metric { return metric.Accuracy }

// Training implements [Task].
func (t *SequentialImages) Training(seed uint64, epoch int) Batches {
	n := t.images.Train.Len()
	random := rand.New(rand.NewChaCha8(epochKey(seed, epoch)))
	return &imageBatches{task: t, part: t.images.Train, numbers: random.Perm(n)[:n/t.shape.Sequences*t.shape.Sequences]}
}

// Evaluation implements [Task].
func (t *SequentialImages) Evaluation(part Part) Batches {
	images := t.part(part)
	return &imageBatches{task: t, part: images, numbers: inOrder(images.Len())}
}

// Steps implements [Task].
func (t *SequentialImages) Steps() map[string]int { return t.shape.Steps }

func (t *SequentialImages) part(part Part) dataset.ImagePart {
	switch part {
	case Train:
		return t.images.Train
	case Valid:
		return t.images.Valid
	case Test:
		return t.images.Test
	}
	panic("task: unknown part " + string(part))
}

// inOrder lists the numbers from 0 to n−1.
func inOrder(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// imageBatches shows images of a part.
type imageBatches struct {
	task    *SequentialImages
	part    dataset.ImagePart
	numbers []int // of the images, in the order they are shown
}

// Len implements [Batches].
func (b *imageBatches) Len() int {
	return (len(b.numbers) + b.task.shape.Sequences - 1) / b.task.shape.Sequences
}

// Group implements [Batches].
func (b *imageBatches) Group(int) string { return "" }

// Fill implements [Batches].
func (b *imageBatches) Fill(i int, batch network.Batch) error {
	if err := Ready(i, b.Len(), b.task.shape, batch); err != nil {
		return err
	}
	n, pixels := batch.Sequences, batch.Float32[pixelsName]
	first := i * n
	counted := min(n, len(b.numbers)-first)
	for column := range n {
		part, number := b.task.images.Train, column-counted
		batch.Targets[column] = -1
		if column < counted {
			part, number = b.part, b.numbers[first+column]
			batch.Targets[column] = part.Labels[number]
		}
		for step, pixel := range b.task.order {
			pixels[step*n+column] = part.Pixel(number, pixel)
		}
	}
	return nil
}
