package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"bittern/plugins/quantizer"
)

// The purposes that weights are drawn for outside the training steps. Each has
// its own seed, so that an evaluation never sees the samples of a training
// step and the number of evaluations changes nothing that follows.
const (
	forValidation = "validation"
	forTest       = "test"
	forDeployment = "deployment"
)

// deploymentDraw keys a freeze of the weights. Draw 0 is the one that every
// validation is scored with: equal keys at every step, so that validations
// differ by the network alone and not by the luck of their draws.
func deploymentDraw(seed uint64, draw int) quantizer.Draw {
	return drawFor(forDeployment, seed, 0, draw)
}

// drawFor keys the weights of batch number batch of an evaluation after step
// training steps: SHA-256 of purpose, seed and step, cut to 64 bits.
func drawFor(purpose string, seed uint64, step, batch int) quantizer.Draw {
	digest := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", purpose, seed, step))
	return quantizer.Draw{Seed: binary.LittleEndian.Uint64(digest[:]), Step: uint64(batch)}
}
