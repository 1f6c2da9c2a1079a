package checkpoint

import "testing"

// A manifest that parses never names a file outside its folder.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"experiment":"c","step":3,"file":"tensors-00.safetensors","sha256":"00"}`))
	f.Add([]byte(`{"format":1,"file":"../x"}`))
	f.Add([]byte(`{"format":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := parse(text)
		if err != nil || doc.Format > Format {
			return
		}
		for _, r := range doc.File {
			if r == '/' {
				t.Errorf("%q names the file %q", text, doc.File)
			}
		}
	})
}
