package conformance

import (
	"bytes"
	"io"
	"io/fs"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
	sigsyaml "sigs.k8s.io/yaml"
)

const baseManifests = "base/manifests.yaml"

// withoutBaseGateways are the suite's manifests, the base Gateways annotated so that no test waits for them: all of
// them have HTTP or HTTPS listeners, and a class without these could not begin.
func withoutBaseGateways(t *testing.T) []fs.FS {
	t.Helper()
	raw, err := conformance.Manifests.ReadFile(baseManifests)
	if err != nil {
		t.Fatalf("reading the suite's base manifests: %v", err)
	}
	var annotated bytes.Buffer
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		var object unstructured.Unstructured
		if err := documents.Decode(&object.Object); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("reading the suite's base manifests: %v", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.GetKind() == "Gateway" {
			object.SetAnnotations(map[string]string{kubernetes.GatewayExcludedFromReadinessChecks: "true"})
		}
		document, err := sigsyaml.Marshal(object.Object)
		if err != nil {
			t.Fatalf("writing the base manifests: %v", err)
		}
		annotated.WriteString("---\n")
		annotated.Write(document)
	}
	return []fs.FS{manifests{annotated.Bytes()}}
}

// manifests are the suite's, but for the base ones.
type manifests struct {
	base []byte
}

func (m manifests) Open(name string) (fs.File, error) {
	return conformance.Manifests.Open(name)
}

func (m manifests) ReadFile(name string) ([]byte, error) {
	if name == baseManifests {
		return m.base, nil
	}
	return conformance.Manifests.ReadFile(name)
}
