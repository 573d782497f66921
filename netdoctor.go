// Package netdoctor holds what the rest of the program embeds from the top of the
// repository.
package netdoctor

import _ "embed"

// Plugins is plugins.yaml, the catalogue of network plugins; package plugins reads it.
//
//go:embed plugins.yaml
var Plugins []byte
