// Holds real values against the SDK's own published types: each value becomes a literal of its type in a program that
// the TypeScript compiler checks, so that a missing, misspelt, surplus or mistyped field is an error.
import ts from 'typescript'

const OPTIONS = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.CommonJS,
  moduleResolution: ts.ModuleResolutionKind.Node10,
}

/**
 * Gives what the compiler says against `values`, each `{ area, type, value, about? }`, where `area` is a folder of the
 * SDK (`payouts`) and `type` a type it exports (`GetPayoutResponse`). Empty when every value fits.
 */
export function misfits(values) {
  const areas = [...new Set(values.map(({ area }) => area))]
  const imports = areas.map((area) => `import type * as ${area} from '@dfns/sdk/generated/${area}/types'`)
  const literals = values.map(({ area, type, value }, i) => `export const v${i}: ${area}.${type} = ${JSON.stringify(value)}`)
  const fileName = new URL('./values.ts', import.meta.url).pathname
  const source = [...imports, ...literals].join('\n')

  const host = ts.createCompilerHost(OPTIONS)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => name === fileName || fileExists(name)
  host.getSourceFile = (name, ...rest) =>
    name === fileName ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest)

  const program = ts.createProgram([fileName], OPTIONS, host)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line
    const { type, about, value } = values[line - areas.length] ?? { type: 'the program' }
    return `${type}${about ? ` (${about})` : ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}\n  in ${JSON.stringify(value)}`
  })
}
