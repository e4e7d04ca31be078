{{- define "tokenfall.name" -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tokenfall.selector" -}}
app.kubernetes.io/name: tokenfall
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tokenfall.labels" -}}
{{ include "tokenfall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tokenfall.secret" -}}
{{ .Values.existingSecret | default (include "tokenfall.name" .) }}
{{- end }}

{{/* Whether nodes share a store. */}}
{{- define "tokenfall.isShared" -}}
{{ if or .Values.redisUrl .Values.existingSecret }}true{{ end }}
{{- end }}
