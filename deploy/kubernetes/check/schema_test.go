package check

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// unions are structs of which exactly one field is set.
var unions = []string{"LifecycleHandler", "ProbeHandler", "VolumeProjection", "VolumeSource"}

// conforms reports what an object's type cannot: a required field that is missing, a word that is
// none of those that Kubernetes has for it, two sources of one volume, a name with other
// characters, and a port that none has.
func conforms(object any) error {
	var faults []error
	v := reflect.ValueOf(object).Elem()
	walk(v, v.Type().Name(), func(at string, v reflect.Value, field *reflect.StructField) {
		faults = append(faults, spelled(at, v))
		if field != nil && required(*field) && v.IsZero() {
			faults = append(faults, fmt.Errorf("%s is missing", at))
		}
		if v.Kind() == reflect.String && v.Type().PkgPath() != "" && v.String() != "" {
			if words := constants(v.Type()); len(words) > 0 && !slices.Contains(words, v.String()) {
				faults = append(faults, fmt.Errorf("%s is %q, want one of %s", at, v.String(), strings.Join(words, ", ")))
			}
		}
	})
	return errors.Join(faults...)
}

// spelled reports names, labels, ports and networks that the API server refuses.
func spelled(at string, v reflect.Value) error {
	var wrong []string
	switch o := v.Interface().(type) {
	case meta.ObjectMeta:
		if o.Name != "" {
			wrong = validation.IsDNS1123Subdomain(o.Name)
		}
		for key, value := range o.Labels {
			wrong = append(wrong, append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)...)
		}
	case core.ContainerPort:
		wrong = append(validation.IsValidPortName(o.Name), validation.IsValidPortNum(int(o.ContainerPort))...)
	case core.ServicePort:
		wrong = append(validation.IsDNS1123Label(o.Name), validation.IsValidPortNum(int(o.Port))...)
	case networking.IPBlock:
		for _, cidr := range append(o.Except, o.CIDR) {
			if p, err := netip.ParsePrefix(cidr); err != nil || p != p.Masked() || !netip.MustParsePrefix(o.CIDR).Contains(p.Addr()) {
				wrong = append(wrong, fmt.Sprintf("%q is no network in %q", cidr, o.CIDR))
			}
		}
	case policy.PodDisruptionBudgetSpec:
		if (o.MinAvailable == nil) == (o.MaxUnavailable == nil) {
			wrong = []string{"want either minAvailable or maxUnavailable"}
		}
	default:
		if slices.Contains(unions, v.Type().Name()) && v.Kind() == reflect.Struct {
			set := 0
			for i := range v.NumField() {
				if !v.Field(i).IsZero() {
					set++
				}
			}
			if set != 1 {
				wrong = []string{fmt.Sprintf("%s has %d kinds, want one", v.Type().Name(), set)}
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %s", at, strings.Join(wrong, "; "))
	}
	return nil
}

// required reports whether the API wants a field to be there: it is written even if it is empty.
// A struct has required fields of its own.
func required(f reflect.StructField) bool {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	kind := f.Type.Kind()
	return name != "" && !strings.Contains(options, "omit") && (kind == reflect.String || kind == reflect.Int32 || kind == reflect.Int64 || kind == reflect.Pointer || kind == reflect.Slice)
}

func walk(v reflect.Value, at string, visit func(string, reflect.Value, *reflect.StructField)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			visit(at, v.Elem(), nil)
			walk(v.Elem(), at, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(at, v.Index(i), nil)
			walk(v.Index(i), at+"["+strconv.Itoa(i)+"]", visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			visit(at, key, nil)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || name == "status" {
				continue
			}
			below := strings.TrimSuffix(at+"."+name, ".")
			visit(below, v.Field(i), &field)
			walk(v.Field(i), below, visit)
		}
	}
}

// constants returns the values that the package of a type declares for it.
func constants(t reflect.Type) []string {
	return declared(t.PkgPath())[t.Name()]
}

var folders = map[string]map[string][]string{}

// declared returns the string constants of a package by the names of their types.
func declared(pkg string) map[string][]string {
	if folders[pkg] == nil {
		folders[pkg] = parse(pkg)
	}
	return folders[pkg]
}

func parse(pkg string) map[string][]string {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		panic(fmt.Sprintf("go list %s: %v", pkg, err))
	}
	all := map[string][]string{}
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.go"))
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			panic(err)
		}
		collect(file, all)
	}
	return all
}

func collect(file *ast.File, all map[string][]string) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			kind, ok := spec.Type.(*ast.Ident)
			if !ok {
				continue
			}
			for _, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil {
						all[kind.Name] = append(all[kind.Name], text)
					}
				}
			}
		}
	}
}
