{{/* The name of all objects: the release's, with the chart's where it doesn't say so already. */}}
{{- define "gatewright.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gatewright.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "gatewright.fullname" .) -}}
{{- end -}}

{{- define "gatewright.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gatewright.labels" -}}
{{ include "gatewright.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: controller
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What the schema can't say of a tag's key. */}}
{{- define "gatewright.checkTag" -}}
{{- if or (contains "=" .) (hasPrefix "aws:" (lower .)) -}}
{{- fail (printf "defaultTags: found the key %q, expected one without =, that doesn't begin with aws: (which AWS keeps for itself)" .) -}}
{{- end -}}
{{- end -}}

{{- define "gatewright.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}
