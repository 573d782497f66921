// Package netdoctor holds what the rest of the program embeds from the top of the
// repository, and the name of its image.
package netdoctor

import _ "embed"

// Plugins is plugins.yaml, the catalogue of network plugins; package plugins reads it.
//
//go:embed plugins.yaml
var Plugins []byte

// Image is where the image of each release is published, with the version as its tag.
const Image = "ghcr.io/kubectl-netdoctor/netdoctor"
