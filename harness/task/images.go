package task

import (
	"fmt"
	"math/rand/v2"

	"bittern/harness/dataset"
	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/plugins/model"
)

// SequentialImages shows an image as a sequence of its pixels, one a time step, and asks
// after the last one for its class (Le, Jaitly and Hinton, 2015).
//
// In training the images of an epoch come in random order; the last partial batch is
// dropped. In evaluation they come in order and all count; a last, partial batch is
// filled up with the first images of the training part.
type SequentialImages struct {
	shape  model.Task
	images *dataset.Images
	order  []int // pixel of each step
}

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
		shape: model.Task{Kind: model.SequenceClassification, InputSize: 1, OutputSize: images.Classes, Batch: batch, Length: len(order)},
	}, nil
}

// Shape implements [Task].
func (t *SequentialImages) Shape() model.Task { return t.shape }

// Metric implements [Task].
func (t *SequentialImages) Metric() metric.Metric { return metric.Accuracy }

// Training implements [Task].
func (t *SequentialImages) Training(seed uint64, epoch int) Batches {
	n := t.images.Train.Len()
	random := rand.New(rand.NewChaCha8(epochKey(seed, epoch)))
	return &imageBatches{task: t, part: t.images.Train, numbers: random.Perm(n)[:n/t.shape.Batch*t.shape.Batch]}
}

// Evaluation implements [Task].
func (t *SequentialImages) Evaluation(part Part) Batches {
	images := t.part(part)
	return &imageBatches{task: t, part: images, numbers: inOrder(images.Len())}
}

// Sequences implements [Task].
func (t *SequentialImages) Sequences(part Part, limit int) Sequences {
	images := t.part(part)
	count := images.Len()
	if limit > 0 {
		count = min(count, limit)
	}
	dense := make([]float32, 0, count*t.shape.Length)
	for i := range count {
		for _, pixel := range t.order {
			dense = append(dense, images.Pixel(i, pixel))
		}
	}
	return Sequences{Count: count, Length: t.shape.Length, Dense: dense, Width: 1, Targets: images.Labels[:count:count]}
}

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
	return (len(b.numbers) + b.task.shape.Batch - 1) / b.task.shape.Batch
}

// Fill implements [Batches].
func (b *imageBatches) Fill(i int, tensors model.Inputs) (valid int, err error) {
	if i < 0 || i >= b.Len() {
		return 0, fmt.Errorf("there is no batch %d among %d", i, b.Len())
	}
	batch, length := b.task.shape.Batch, b.task.shape.Length
	inputs, targets := tensors.Float32[inputsName], tensors.Int32[targetsName]
	if len(inputs) != length*batch || len(targets) != batch {
		return 0, fmt.Errorf("the tensors inputs and targets have %d and %d elements; [%d, %d, 1] and [%d] are needed",
			len(inputs), len(targets), length, batch, batch)
	}
	first := i * batch
	valid = min(batch, len(b.numbers)-first)
	for column := range batch {
		part, number := b.task.images.Train, column-valid
		if column < valid {
			part, number = b.part, b.numbers[first+column]
		}
		targets[column] = part.Labels[number]
		for step, pixel := range b.task.order {
			inputs[step*batch+column] = part.Pixel(number, pixel)
		}
	}
	return valid, nil
}
