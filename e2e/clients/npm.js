// npm's xmlrpc. What it checks is listed in clients_test.go.
const assert = require('assert')
const xmlrpc = require('/opt/clients/node_modules/xmlrpc')

const { RM_URL, RM_NODE, RM_SECRET, RM_CALL_ID, RM_CALLER, RM_CALLED, RM_TARGET } = process.env
const url = new URL(RM_URL)
const client = xmlrpc.createClient({
  host: url.hostname, port: Number(url.port), path: url.pathname, basic_auth: { user: RM_NODE, pass: RM_SECRET }
})
const ask = (method, ...parameters) => new Promise((resolve, reject) =>
  client.methodCall(method, parameters, (error, value) => error ? reject(error) : resolve(value)))
const check = (what, got, want) => {
  assert.deepStrictEqual(got, want, what)
  console.log('ok', what)
}
const stooges = (moe, larry, curly) => ({ moe, larry, curly })

async function main () {
  check('arrayOfStructsTest', await ask('validator1.arrayOfStructsTest', [stooges(1, 2, 3), stooges(4, 5, -6), stooges(7, 8, 90)]), 87)
  check('countTheEntities', await ask('validator1.countTheEntities', 'a<b<c>d&e\'f"g""'),
    { ctLeftAngleBrackets: 2, ctRightAngleBrackets: 1, ctAmpersands: 1, ctApostrophes: 1, ctQuotes: 3 })
  check('easyStructTest', await ask('validator1.easyStructTest', stooges(1, 20, 300)), 321)
  const echo = { bool: true, int: -7, double: 2.5, text: ' ü€ <&> ', empty: '', inner: { list: [1, 'two', []] } }
  check('echoStructTest', await ask('validator1.echoStructTest', echo), echo)
  const many = [42, true, 'text', 3.5, new Date(1998, 6, 17, 14, 8, 55), Buffer.from("you can't read this!\0\xff", 'latin1')]
  check('manyTypesTest', await ask('validator1.manyTypesTest', ...many), many)
  check('moderateSizeArrayCheck', await ask('validator1.moderateSizeArrayCheck', Array.from({ length: 150 }, (_, i) => `item ${i};`)), 'item 0;item 149;')
  check('nestedStructTest', await ask('validator1.nestedStructTest',
    { 2000: { '03': { 31: stooges(9, 9, 9) }, '04': { '01': stooges(1, 2, 4), '02': stooges(9, 9, 9) } } }), 7)
  check('simpleStructReturnTest', await ask('validator1.simpleStructReturnTest', 7), { times10: 70, times100: 700, times1000: 7000 })

  const reply = await ask('call.start', {
    call_id: RM_CALL_ID, node: RM_NODE, channel: 'PJSIP/npm-1', caller: RM_CALLER, called: RM_CALLED, presentation: 'allowed', trunk: ''
  })
  check('call.start session', reply.session.length > 0, true)
  check('call.start target', reply.instructions.at(-1).targets[0].number, RM_TARGET)

  const fault = await ask('validator1.noSuchTest').then(() => ({ faultCode: 'none' }), error => error)
  check('fault', fault.faultCode, -32601)
}

main().catch(error => {
  console.error(error.message)
  process.exit(1)
})
