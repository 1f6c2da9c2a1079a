// Package examples holds whole plugins, each in a folder of its name. They are what
// `bittern plugins new` copies, under another name: the word that names the example stands
// in its files for nothing but the plugin.
package examples

import (
	"embed"
	"fmt"
	"io/fs"

	"bittern/plugins"
)

//go:embed int8-rows lstm-gru mac-array twn-python
var folders embed.FS

// Language is what a plugin is written in.
type Language string

// The languages of the examples.
const (
	Go     Language = "go"
	Python Language = "python"
)

// Example is a plugin in a folder of its name.
type Example struct {
	plugins.ID
	Language Language
}

// All lists the examples.
var All = []Example{
	{plugins.ID{Kind: plugins.KindQuantizer, Name: "int8-rows"}, Go},
	{plugins.ID{Kind: plugins.KindModel, Name: "lstm-gru"}, Go},
	{plugins.ID{Kind: plugins.KindBackend, Name: "mac-array"}, Go},
	{plugins.ID{Kind: plugins.KindQuantizer, Name: "twn-python"}, Python},
}

// Files is the example's folder.
func (e Example) Files() fs.FS {
	files, err := fs.Sub(folders, e.Name)
	if err != nil {
		panic(fmt.Sprintf("examples: %v", err)) // a name of All that is no folder's
	}
	return files
}
