export { configInvalid, type Fault, formatFault, type KeyPath } from '../faults/fault.ts';
export type { Environment } from '../reading/substitution.ts';
export type { DeviceConfig } from './device-config.ts';
export { deviceConfigJsonSchema } from './device-schema.ts';
export {
  checkDeviceConfig,
  DEVICE_CONFIG_FILE,
  type DeviceConfigCheck,
  type DeviceConfigSources,
  type DeviceFlags,
  loadDeviceConfig,
} from './load-device-config.ts';
