import vue from '@vitejs/plugin-vue';

const isCustomElement = (tag) => tag.startsWith('foretaste-');

export default { plugins: [vue({ template: { compilerOptions: { isCustomElement } } })] };
