package vocabulary

import (
	"reflect"
	"strings"

	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// collectTypes takes the names of fields for the core, and what the API says of them for
// plain English.
func (w words) collectTypes() {
	types := []any{kubeletv1beta1.KubeletConfiguration{}, kubeproxyv1alpha1.KubeProxyConfiguration{}, facts.Manifest{}, facts.Try{}, facts.Answer{}}
	for _, src := range facts.Sources() {
		note(w.core, src.Name+" "+src.Kind+" "+src.Group)
		if src.Object() {
			types = append(types, facts.New(src))
		}
	}
	seen := map[reflect.Type]bool{}
	for _, value := range types {
		w.collectType(reflect.TypeOf(value), seen)
	}
}

func (w words) collectType(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		w.collectType(t.Elem(), seen)
	case reflect.Struct:
		if documented, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
			for _, text := range documented.SwaggerDoc() {
				note(w.prose, text)
			}
		}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			note(w.core, name)
			w.collectType(t.Field(i).Type, seen)
		}
	}
}
