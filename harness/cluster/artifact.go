package cluster

import (
	"bytes"
	"context"
	"errors"

	"bittern/harness/artifact"
	"bittern/plugins"
)

// artifacts keeps deployed networks.
type artifacts struct{ *desk }

func (a artifacts) Write(ctx context.Context, experiment string, n artifact.Network) (checksum string, err error) {
	k, err := a.claimed(experiment)
	if err != nil {
		return "", err
	}
	var content bytes.Buffer
	program, checksum, err := artifact.Encode(&content, n)
	if err != nil {
		return "", err
	}
	files := artifactFiles{Checksum: checksum}
	if files.Program, err = k.upload(ctx, "program", program, nil); err != nil {
		return "", err
	}
	if files.Tensors, err = k.upload(ctx, "deployed", content.Bytes(), nil); err != nil {
		return "", err
	}
	return checksum, a.put(k, &files)
}

func (a artifacts) put(k *claim, files *artifactFiles) error {
	return k.change(func() error {
		if old := k.next.Artifact; old != nil {
			k.trash = append(k.trash, old.Program.Name, old.Tensors.Name)
		}
		k.next.Artifact = files
		return nil
	})
}

func (a artifacts) Read(ctx context.Context, experiment, checksum string) (artifact.Network, error) {
	var files *artifactFiles
	if err := a.read(experiment, func(k *claim) { files = k.next.Artifact }); err != nil {
		return artifact.Network{}, err
	}
	return a.cluster.network(ctx, experiment, checksum, files)
}

// network reads a deployed network.
func (c *Cluster) network(ctx context.Context, experiment, checksum string, files *artifactFiles) (n artifact.Network, err error) {
	if files == nil {
		err = errors.New("it is not there")
	}
	var program []byte
	if err == nil {
		program, err = c.download(ctx, files.Program)
	}
	if err == nil {
		n, err = artifact.Decode(program, func() ([]byte, error) { return c.download(ctx, files.Tensors) }, checksum)
	}
	if err == nil || silent(err) || errors.Is(err, context.Canceled) {
		return n, err
	}
	return artifact.Network{}, plugins.Problemf("the deployed network of experiment %s at %s cannot be used (%s); run the suite with --again to train the experiment afresh", experiment, c.options, err)
}

func (a artifacts) Remove(_ context.Context, experiment string) error {
	k, err := a.claimed(experiment)
	if err != nil {
		return err
	}
	return a.put(k, nil)
}

// Sweep does nothing, as that of checkpoints.
func (a artifacts) Sweep(context.Context, string) error { return nil }
